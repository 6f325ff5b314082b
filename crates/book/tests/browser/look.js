// Looks at the page as it is shown now, and returns what is wrong with it, as texts.
// The first argument tells whether code and tables must fit into the page, the second whether the
// page is printed: paper is white, and pictures on it may be small.
const [mustFit, isPrinted] = arguments;
const found = [];

const name = (it) => {
  const text = (it.textContent || it.alt || "").trim().replace(/\s+/g, " ").slice(0, 60);
  return `<${it.tagName.toLowerCase()}> ${text}`;
};
const isShown = (it) => it.checkVisibility({ visibilityProperty: true }) && it.getClientRects().length > 0;

// Colours and sizes that change slowly would be seen on their way.
document.head.insertAdjacentHTML("beforeend", "<style>* { transition: none !important; }</style>");
for (const it of document.querySelectorAll("main details")) {
  it.open = true;
}

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

// Pictures: the smallest text of a picture has 12 px, and 10 px can be read.
for (const picture of document.querySelectorAll("main img")) {
  const shown = picture.getBoundingClientRect();
  if (!picture.complete || picture.naturalWidth === 0) {
    found.push(`a picture is not there: ${picture.src}`);
  } else if (isPrinted && isShown(picture) && shown.right > document.documentElement.clientWidth + 1) {
    found.push(`a picture is cut off: ${picture.src}`);
  } else if (!isPrinted && isShown(picture) && picture.src.endsWith(".svg")) {
    const scale = shown.width / picture.naturalWidth;
    if (scale * 12 < 9.99) {
      found.push(`a picture is shown at ${scale.toFixed(2)} of its size: ${picture.src}`);
    }
  }
}

const backgrounds = new Map();
const background = (it) => {
  if (!it) {
    return [255, 255, 255, 1];
  }
  if (!backgrounds.has(it)) {
    const style = getComputedStyle(it);
    // Browsers print no backgrounds, but where a page asks for them.
    const isLeftOut = isPrinted && style.printColorAdjust !== "exact";
    const own = isLeftOut ? [0, 0, 0, 0] : parse(style.backgroundColor);
    backgrounds.set(it, own[3] === 1 ? own : over(own, background(it.parentElement)));
  }
  return backgrounds.get(it);
};
const opacities = new Map();
const opacity = (it) => {
  if (!it) {
    return 1;
  }
  if (!opacities.has(it)) {
    opacities.set(it, Number(getComputedStyle(it).opacity) * opacity(it.parentElement));
  }
  return opacities.get(it);
};
const seen = new Set();
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const it = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || it.closest("svg, script, style, noscript, option") || !isShown(it)) {
    continue;
  }
  const style = getComputedStyle(it);
  const [below, [r, g, b, alpha]] = [background(it), parse(style.color)];
  const color = [r, g, b, alpha * opacity(it)];
  const key = `${color} on ${below.slice(0, 3).map(Math.round)}`;
  if (seen.has(key)) {
    continue;
  }
  seen.add(key);
  const ratio = contrast(over(color, below), below);
  if (ratio < LEAST) {
    found.push(`contrast ${ratio.toFixed(2)}, ${key}: ${name(it)} ${it.className}`);
  }
}
return found;
