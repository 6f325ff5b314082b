// Looks at the page as it is shown now, and returns what is wrong with it, as texts.
// The argument tells whether code and tables must fit into the page.
const [mustFit] = arguments;
const found = [];

const name = (it) => {
  const text = (it.textContent || it.alt || "").trim().replace(/\s+/g, " ").slice(0, 60);
  return `<${it.tagName.toLowerCase()}> ${text}`;
};
const isShown = (it) => it.checkVisibility({ visibilityProperty: true }) && it.getClientRects().length > 0;

// The content of a page is a box that would scroll instead of the page.
for (const it of [document.documentElement, document.querySelector(".content")]) {
  if (it.scrollWidth > it.clientWidth) {
    found.push(`the page scrolls sideways: ${it.scrollWidth} of ${it.clientWidth} px`);
  }
}

// Code and tables.
if (mustFit) {
  for (const box of document.querySelectorAll("main pre > code, main .table-wrapper")) {
    if (isShown(box) && !box.closest("#timeline, .file") && box.scrollWidth > box.clientWidth + 1) {
      found.push(`wider than the page, ${box.scrollWidth} of ${box.clientWidth} px: ${name(box)}`);
    }
  }
}

// Pictures: the smallest text of a picture has 12 px.
for (const picture of document.querySelectorAll("main img")) {
  if (!picture.complete || picture.naturalWidth === 0) {
    found.push(`a picture is not there: ${picture.src}`);
  } else if (isShown(picture) && picture.src.endsWith(".svg")) {
    const scale = picture.getBoundingClientRect().width / picture.naturalWidth;
    if (scale < 0.79) {
      found.push(`a picture is shown at ${scale.toFixed(2)} of its size: ${picture.src}`);
    }
  }
}

// Contrast of text and its background (WCAG 2, relative luminance).
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
const backgrounds = new Map();
const background = (it) => {
  if (!it) {
    return [255, 255, 255, 1];
  }
  if (!backgrounds.has(it)) {
    const own = parse(getComputedStyle(it).backgroundColor);
    backgrounds.set(it, own[3] === 1 ? own : over(own, background(it.parentElement)));
  }
  return backgrounds.get(it);
};
const seen = new Set();
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const it = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || it.closest("svg, script, style, noscript, option") || !isShown(it)) {
    continue;
  }
  const style = getComputedStyle(it);
  const [below, color] = [background(it), parse(style.color)];
  const key = `${style.color} on ${below.slice(0, 3).map(Math.round)}`;
  if (seen.has(key)) {
    continue;
  }
  seen.add(key);
  const ratio = contrast(over(color, below), below);
  if (ratio < 4.5) {
    found.push(`contrast ${ratio.toFixed(2)}, ${key}: ${name(it)} ${it.className}`);
  }
}
return found;
