// The player of the timelines. It shows a recording step by step, and another one beside it.
// The data is in the page: the build of the book writes it there, from docs/timeline.
(() => {
  "use strict";

  const place = document.getElementById("timeline");
  if (!place) {
    return;
  }

  // The rows of a drawing, as crates/book/src/timeline/draw.rs draws them.
  const TOP = 66;
  const ROW = 36;

  // The headings of the page, each with the scenario that has its title.
  const headings = [...document.querySelectorAll("main h2[id], main h3[id]")];
  const headingOf = (it) => headings.findIndex((heading) => heading.textContent.trim() === it.title);
  const timelines = [...window.timelines].sort((a, b) => headingOf(a) - headingOf(b));

  function element(name, attributes = {}, ...children) {
    const it = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      it.setAttribute(key, value);
    }
    it.append(...children);
    return it;
  }

  function option(value, text) {
    return element("option", { value }, text);
  }

  // One recording: its picture, the current step with its sentence, and the lines of code.
  class Track {
    constructor(name) {
      this.picture = element("div", { class: "timeline-picture", role: "group", tabindex: "0" });
      this.says = element("p", { class: "timeline-says" });
      this.bytes = element("pre", { class: "timeline-bytes" });
      this.now = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      this.now.setAttribute("class", "timeline-now");
      this.link = element("a", {});
      this.code = element("code", { class: "language-rust" });
      this.box = element("div", { class: "timeline-code" }, element("p", {}, this.link), element("pre", {}, this.code));
      this.clients = element("select", { class: "timeline-client" });
      this.choice = element("label", {}, `${name} `, this.clients);
      this.name = element("p", { class: "timeline-name" });
      this.root = element(
        "section",
        { class: "timeline-track", role: "group" },
        this.name,
        this.picture,
        this.says,
        this.bytes,
        this.box,
      );
    }

    load(recording) {
      this.recording = recording;
      this.name.textContent = recording.client;
      this.root.setAttribute("aria-label", `Client ${recording.client}`);
      this.picture.setAttribute("aria-label", `Picture of ${recording.client}`);
      this.picture.innerHTML = recording.svg;
      const svg = this.picture.querySelector("svg");
      svg.style.setProperty("--width", svg.getAttribute("width"));
      this.now.setAttribute("width", svg.getAttribute("width"));
      this.now.setAttribute("height", ROW);
      svg.querySelector(":scope > rect").after(this.now);
      this.keepNames(svg);
    }

    // Keeps the names of the lanes in sight while the picture scrolls below them.
    keepNames(svg) {
      const names = svg.cloneNode();
      const width = svg.getAttribute("width");
      names.setAttribute("class", "timeline-names");
      names.setAttribute("aria-hidden", "true");
      names.setAttribute("viewBox", `0 0 ${width} ${TOP - ROW / 2}`);
      names.setAttribute("height", TOP - ROW / 2);
      const parts = svg.querySelectorAll(":scope > rect:not(.timeline-now), :scope > text");
      names.append(...[...parts].map((it) => it.cloneNode(true)));
      this.picture.append(names);
    }

    get last() {
      return this.recording.steps.length;
    }

    // Shows the steps up to `n`, and marks the last one of them.
    show(n) {
      const current = Math.min(n, this.last);
      const step = this.recording.steps[current - 1];
      for (const group of this.picture.querySelectorAll("[data-step]")) {
        const number = Number(group.dataset.step);
        group.classList.toggle("is-later", number > current);
        group.classList.toggle("is-current", number === current);
        if (number === current) {
          this.scrollTo(group);
        }
      }
      this.now.setAttribute("y", TOP + (current - 1) * ROW - ROW / 2);
      this.says.textContent = `${current} of ${this.last}: ${step.says}`;
      // A screen reader says the sentence, and the labels and bytes that others see in the picture.
      const labels = [...this.picture.querySelectorAll(".is-current text")].map((it) => it.textContent);
      this.spoken = [this.says.textContent, labels.join(", "), step.bytes].filter(Boolean).join(" ");
      this.root.dataset.step = current;
      this.bytes.hidden = !step.bytes;
      this.bytes.textContent = step.bytes || "";
      this.box.hidden = !step.code;
      if (step.code) {
        const { file, first, text } = step.code;
        this.link.textContent = `${file}, line ${first}`;
        this.link.href = `${place.dataset.files}${file}.html#L${first}`;
        this.code.textContent = text;
        this.code.removeAttribute("data-highlighted");
        this.code.className = "language-rust";
        if (window.hljs) {
          window.hljs.highlightBlock(this.code);
        }
      }
    }

    // Scrolls within the box of the picture, and never the page.
    scrollTo(group) {
      const box = this.picture.getBoundingClientRect();
      const at = group.getBoundingClientRect();
      const middle = (start, length, boxStart, boxLength) => start + length / 2 - boxStart - boxLength / 2;
      this.picture.scrollTop += middle(at.top, at.height, box.top, box.height);
      this.picture.scrollLeft += middle(at.left, at.width, box.left, box.width);
    }
  }

  const tracks = [new Track("Client"), new Track("Beside it")];
  const scenarios = element("select", { id: "timeline-scenario" });
  scenarios.append(...timelines.map((it) => option(it.scenario, it.title)));
  const about = element("p", { class: "timeline-about" });
  const spoken = element("p", { class: "timeline-spoken", role: "status" });
  const button = (action, title, key) =>
    element("button", { type: "button", title, "aria-keyshortcuts": key, "data-action": action }, action);
  const buttons = {
    first: button("first", "First step (Home)", "Home"),
    back: button("back", "Step back (left arrow)", "ArrowLeft"),
    forward: button("forward", "Step forward (right arrow)", "ArrowRight"),
    last: button("last", "Last step (End)", "End"),
    play: button("play", "Play or pause (space bar)", "Space"),
  };

  let scenario = timelines[0];
  let step = 1;
  let timer = null;

  const isCompared = () => tracks[1].clients.value !== "";
  const shownTracks = () => (isCompared() ? tracks : [tracks[0]]);
  const lastStep = () => Math.max(...shownTracks().map((track) => track.last));

  function show(n) {
    step = Math.min(Math.max(n, 1), lastStep());
    for (const track of shownTracks()) {
      track.show(step);
    }
    // A button that is disabled would lose the focus.
    for (const [name, end] of [["first", 1], ["back", 1], ["forward", lastStep()], ["last", lastStep()]]) {
      buttons[name].setAttribute("aria-disabled", step === end);
    }
    const says = shownTracks().map((track) => (isCompared() ? `${track.recording.client}, ` : "") + track.spoken);
    spoken.textContent = says.join(". ");
    place.dataset.step = step;
    if (step === lastStep()) {
      pause();
    }
  }

  // Selects a scenario. A mistake has a sound client beside it, unless the caller names a client.
  function select(name, client, other) {
    scenario = timelines.find((it) => it.scenario === name) || timelines[0];
    scenarios.value = scenario.scenario;
    about.textContent = scenario.says;
    const names = scenario.recordings.map((it) => it.client);
    const options = () => scenario.recordings.map((it) => option(it.client, `${it.client} (${it.size} bytes)`));
    tracks[0].clients.replaceChildren(...options());
    tracks[1].clients.replaceChildren(option("", "no other"), ...options());
    const manual = names.includes("manual") ? "manual" : names[0];
    tracks[0].clients.value = names.includes(client) ? client : manual;
    const beside = names.includes(client) || !names.includes("sound") ? "" : "sound";
    tracks[1].clients.value = names.includes(other) ? other : beside;
    load(1);
  }

  function load(at) {
    pause();
    const find = (track) => scenario.recordings.find((it) => it.client === track.clients.value);
    tracks[0].load(find(tracks[0]));
    tracks[1].root.hidden = !isCompared();
    place.classList.toggle("is-compared", isCompared());
    if (isCompared()) {
      tracks[1].load(find(tracks[1]));
    }
    show(at);
  }

  function pause() {
    clearTimeout(timer);
    timer = null;
    buttons.play.textContent = "play";
  }

  function play() {
    if (timer !== null) {
      return pause();
    }
    if (step === lastStep()) {
      show(1);
    }
    buttons.play.textContent = "pause";
    playOn();
  }

  // Takes the next step when the reader has had the time to read the sentence of this one.
  function playOn() {
    const longest = Math.max(...shownTracks().map((track) => track.says.textContent.length));
    timer = setTimeout(() => {
      show(step + 1);
      if (timer !== null) {
        playOn();
      }
    }, 1200 + 40 * longest);
  }

  const actions = {
    first: () => show(1),
    back: () => show(step - 1),
    forward: () => show(step + 1),
    last: () => show(lastStep()),
    play,
  };
  const keys = { Home: "first", ArrowLeft: "back", ArrowRight: "forward", End: "last", " ": "play" };

  // The address names a scenario and perhaps clients, `#get/manual/pinned`: it leads to the player.
  // Or it names a heading, `#one-get`: it leads there, and the player has the scenario of the heading.
  function fromAddress() {
    const [name, client, other] = location.hash.slice(1).split("/").map(decoded);
    const title = headings.find((heading) => heading.id === name)?.textContent.trim();
    const named = timelines.find((it) => it.scenario === name);
    const titled = timelines.find((it) => it.title === title);
    if (titled) {
      select(titled.scenario);
    } else if (named) {
      select(name, client, other);
      place.scrollIntoView();
      place.focus({ preventScroll: true });
    }
  }

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // A `%` that a reader typed.
    }
  }

  function toAddress() {
    const clients = shownTracks().map((track) => track.clients.value);
    history.replaceState(null, "", `#${[scenario.scenario, ...clients].map(encodeURIComponent).join("/")}`);
  }

  place.replaceChildren(
    element(
      "div",
      { class: "timeline-choices" },
      element("label", {}, "Scenario ", scenarios),
      tracks[0].choice,
      tracks[1].choice,
    ),
    about,
    element("div", { class: "timeline-buttons", role: "group", "aria-label": "Steps" }, ...Object.values(buttons)),
    spoken,
    element("div", { class: "timeline-tracks" }, tracks[0].root, tracks[1].root),
  );

  scenarios.addEventListener("change", () => {
    select(scenarios.value, tracks[0].clients.value, tracks[1].clients.value);
    toAddress();
  });
  for (const track of tracks) {
    track.clients.addEventListener("change", () => {
      load(step);
      toAddress();
    });
  }
  place.addEventListener("click", (event) => {
    const action = event.target.closest("[data-action]");
    if (action && action.getAttribute("aria-disabled") !== "true") {
      actions[action.dataset.action]();
    }
  });
  // mdBook turns pages with the arrow keys. Within the player they step, and move in code and choices.
  place.addEventListener("keydown", (event) => {
    if (event.key.startsWith("Arrow")) {
      event.stopPropagation();
    }
    const action = keys[event.key];
    const isOther = event.shiftKey || event.ctrlKey || event.altKey || event.metaKey;
    const isTaken = event.target.closest("select, a, pre") || (event.key === " " && event.target.closest("button"));
    if (action && !isOther && !isTaken) {
      event.preventDefault();
      actions[action]();
    }
  });
  // Under each heading of a scenario, a button leads to the player.
  for (const { scenario: name, title } of timelines) {
    const heading = headings.find((it) => it.textContent.trim() === title);
    const label = `Play it step by step: ${title}`;
    const start = element("button", { type: "button", class: "timeline-play" }, "Play it step by step");
    start.setAttribute("aria-label", label);
    start.addEventListener("click", () => {
      history.pushState(null, "", `#${name}`);
      fromAddress();
    });
    heading?.after(start);
  }
  place.tabIndex = 0;
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", "Timeline player");
  place.setAttribute("aria-keyshortcuts", "ArrowLeft ArrowRight Home End Space");
  window.addEventListener("hashchange", fromAddress);
  select("get", "manual");
  fromAddress();
})();
