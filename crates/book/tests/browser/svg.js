// Looks at a picture by itself: its texts must be inside, apart from each other, and readable.
const found = [];
const svg = document.documentElement;
const view = svg.getBoundingClientRect();
const texts = [...svg.querySelectorAll("text")].filter((text) => text.textContent.trim());
const box = (it) => it.getBoundingClientRect();
const boxes = texts.map(box);

// The boxes of letters have some room above and below.
const overlap = (a, b) =>
  Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
const says = (text) => text.textContent.trim().replace(/\s+/g, " ");

texts.forEach((text, i) => {
  const at = boxes[i];
  if (at.left < view.left - 0.5 || at.right > view.right + 0.5 || at.top < view.top - 0.5 || at.bottom > view.bottom + 0.5) {
    found.push(`clipped: ${says(text)}`);
  }
  for (let j = i + 1; j < texts.length; j++) {
    if (overlap(at, boxes[j])) {
      found.push(`over each other: ${says(text)} / ${says(texts[j])}`);
    }
  }
  if (parseFloat(getComputedStyle(text).fontSize) < 12) {
    found.push(`smaller than 12 px: ${says(text)}`);
  }
});

// The contrast of each text with the topmost shape below its middle.
const rgb = (color) => color.match(/[\d.]+/g).slice(0, 3).map(Number);
const luminance = (color) => {
  const [r, g, b] = color.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
texts.forEach((text, i) => {
  const at = boxes[i];
  const [x, y] = [(at.left + at.right) / 2, (at.top + at.bottom) / 2];
  const shapes = [...svg.querySelectorAll("rect, circle, text")];
  const below = shapes.slice(0, shapes.indexOf(text)).filter((shape) => {
    const fill = getComputedStyle(shape).fill;
    const b = box(shape);
    const opacity = Number(getComputedStyle(shape).opacity) * Number(getComputedStyle(shape).fillOpacity);
    const isSolid = shape.tagName !== "text" && fill.startsWith("rgb(") && opacity > 0.9;
    return isSolid && b.left <= x && x <= b.right && b.top <= y && y <= b.bottom;
  });
  const ground = below.length ? getComputedStyle(below.at(-1)).fill : "rgb(255, 255, 255)";
  const [low, high] = [rgb(ground), rgb(getComputedStyle(text).fill)].map(luminance).sort((a, b) => a - b);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < 4.5) {
    found.push(`contrast ${ratio.toFixed(2)}: ${says(text)}`);
  }
});
return found;
