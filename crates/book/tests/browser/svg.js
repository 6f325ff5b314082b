// Looks at a picture by itself, or at that of the player: its texts must be inside, apart from each
// other, and readable.
const found = [];
const svg = document.querySelector(".timeline-picture svg") ?? document.documentElement;
const box = (it) => it.getBoundingClientRect();
const view = box(svg);
const texts = [...svg.querySelectorAll("text")].filter((text) => text.textContent.trim());
const boxes = texts.map(box);
const says = (text) => text.textContent.trim().replace(/\s+/g, " ");
const isWithin = (a, b) =>
  a.left >= b.left - 0.5 && a.right <= b.right + 0.5 && a.top >= b.top - 0.5 && a.bottom <= b.bottom + 0.5;

// The boxes of letters have some room above and below.
const overlap = (a, b) =>
  Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;

const shapes = [...svg.querySelectorAll("rect, circle, ellipse, polygon, path, text")];
const isBelow = (shape, x, y) => {
  const point = new DOMPoint(x, y).matrixTransform(shape.getScreenCTM().inverse());
  return shape.isPointInFill(point);
};
const rects = shapes
  .filter((shape) => shape.tagName === "rect")
  .map(box)
  .filter((it) => !isWithin(view, it));

texts.forEach((text, i) => {
  const at = boxes[i];
  const style = getComputedStyle(text);
  const middle = (at.top + at.bottom) / 2;
  if (!isWithin(at, view)) {
    found.push(`clipped: ${says(text)}`);
  }
  for (let j = i + 1; j < texts.length; j++) {
    if (overlap(at, boxes[j])) {
      found.push(`over each other: ${says(text)} / ${says(texts[j])}`);
    }
  }
  if (parseFloat(style.fontSize) < 12) {
    found.push(`smaller than 12 px: ${says(text)}`);
  }

  // A text that begins or ends in a box, or has its middle there, stays in it.
  const anchor = { start: at.left + 1, middle: (at.left + at.right) / 2, end: at.right - 1 }[style.textAnchor];
  const around = rects
    .filter((it) => it.left <= anchor && anchor <= it.right && it.top <= middle && middle <= it.bottom)
    .sort((a, b) => a.width * a.height - b.width * b.height)[0];
  if (around && (at.left < around.left - 0.5 || at.right > around.right + 0.5)) {
    found.push(`out of its box: ${says(text)}`);
  }

  // The contrast with the topmost shape below the ends and the middle of the text.
  const solid = shapes.slice(0, shapes.indexOf(text)).filter((shape) => {
    const { fill, opacity, fillOpacity } = getComputedStyle(shape);
    return shape.tagName !== "text" && fill.startsWith("rgb(") && opacity * fillOpacity > 0.9;
  });
  for (const x of [at.left + 2, (at.left + at.right) / 2, at.right - 2]) {
    const below = solid.findLast((shape) => isBelow(shape, x, middle));
    const ground = below ? parse(getComputedStyle(below).fill) : [255, 255, 255, 1];
    const ratio = contrast(ground, parse(style.fill));
    if (ratio < LEAST) {
      found.push(`contrast ${ratio.toFixed(2)}: ${says(text)}`);
      break;
    }
  }
});
return found;
