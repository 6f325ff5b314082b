// Colours, and their contrast (WCAG 2, relative luminance). Each colour is [red, green, blue, alpha].
const parse = (color) => {
  const values = color.match(/[\d.]+/g).map(Number);
  return values.length === 3 ? [...values, 1] : values;
};
const over = (top, below) => {
  const alpha = top[3];
  return [0, 1, 2].map((i) => top[i] * alpha + below[i] * (1 - alpha)).concat(1);
};
const luminance = (color) => {
  const [r, g, b] = color.slice(0, 3).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const LEAST = 4.5;
