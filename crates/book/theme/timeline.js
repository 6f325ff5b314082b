// The player of the timelines. It shows a recording step by step, and another one beside it.
// The data is in the page: the build of the book writes it there, from docs/timeline.
(() => {
  "use strict";

  const place = document.getElementById("timeline");
  if (!place) {
    return;
  }

  const PAUSE = 1500; // milliseconds between two steps of a recording that plays
  const timelines = window.timelines;

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
      this.picture = element("div", { class: "timeline-picture" });
      this.says = element("p", { class: "timeline-says", "aria-live": "polite", role: "status" });
      this.bytes = element("pre", { class: "timeline-bytes" });
      this.link = element("a", {});
      this.code = element("code", { class: "language-rust" });
      this.box = element("div", { class: "timeline-code" }, element("p", {}, this.link), element("pre", {}, this.code));
      this.clients = element("select", { class: "timeline-client" });
      this.choice = element("label", {}, `${name} `, this.clients);
      this.name = element("p", { class: "timeline-name" });
      this.root = element(
        "section",
        { class: "timeline-track" },
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
      this.picture.innerHTML = recording.svg;
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
      this.says.textContent = `${current} of ${this.last}: ${step.says}`;
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
  const buttons = {
    first: element("button", { type: "button", title: "First step (Home)" }, "first"),
    back: element("button", { type: "button", title: "Step back (left arrow)" }, "back"),
    forward: element("button", { type: "button", title: "Step forward (right arrow)" }, "forward"),
    last: element("button", { type: "button", title: "Last step (End)" }, "last"),
    play: element("button", { type: "button", title: "Play or pause (space)", "aria-pressed": "false" }, "play"),
  };
  for (const [name, button] of Object.entries(buttons)) {
    button.dataset.action = name;
  }

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
    buttons.first.disabled = buttons.back.disabled = step === 1;
    buttons.last.disabled = buttons.forward.disabled = step === lastStep();
    place.dataset.step = step;
    if (step === lastStep()) {
      pause();
    }
  }

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
    tracks[1].clients.value = names.includes(other) ? other : "";
    load(1);
  }

  function load(at) {
    pause();
    const find = (track) => scenario.recordings.find((it) => it.client === track.clients.value);
    tracks[0].load(find(tracks[0]));
    tracks[1].root.hidden = !isCompared();
    if (isCompared()) {
      tracks[1].load(find(tracks[1]));
    }
    show(at);
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    buttons.play.textContent = "play";
    buttons.play.setAttribute("aria-pressed", "false");
  }

  function play() {
    if (timer !== null) {
      return pause();
    }
    if (step === lastStep()) {
      show(1);
    }
    timer = setInterval(() => show(step + 1), PAUSE);
    buttons.play.textContent = "pause";
    buttons.play.setAttribute("aria-pressed", "true");
  }

  const actions = {
    first: () => show(1),
    back: () => show(step - 1),
    forward: () => show(step + 1),
    last: () => show(lastStep()),
    play,
  };
  const keys = { Home: "first", ArrowLeft: "back", ArrowRight: "forward", End: "last", " ": "play" };

  // The address names a scenario, and perhaps a client: `#get` or `#get/manual`, and one beside it.
  function fromAddress() {
    const [name, client, other] = decodeURIComponent(location.hash.slice(1)).split("/");
    const heading = document.getElementById(name);
    const isScenario = timelines.some((it) => it.scenario === name);
    const title = heading && timelines.find((it) => it.title === heading.textContent.trim());
    if (isScenario || title) {
      select(isScenario ? name : title.scenario, client, other);
    }
    if (isScenario) {
      place.scrollIntoView();
      place.focus({ preventScroll: true });
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
    element("div", { class: "timeline-buttons", role: "toolbar", "aria-label": "Steps" }, ...Object.values(buttons)),
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
    if (action) {
      actions[action.dataset.action]();
    }
  });
  // mdBook turns pages with the arrow keys. Within the player they step.
  place.addEventListener("keydown", (event) => {
    const action = keys[event.key];
    const isMine = action && !event.target.closest("select, a") && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (!isMine || (event.key === " " && event.target.closest("button"))) {
      event.stopPropagation();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    actions[action]();
  });
  for (const heading of document.querySelectorAll("main h2, main h3")) {
    const it = timelines.find(({ title }) => title === heading.textContent.trim());
    if (it) {
      const button = element("button", { type: "button", class: "timeline-play" }, "Play it step by step");
      button.addEventListener("click", () => {
        location.hash = it.scenario;
      });
      heading.after(button);
    }
  }
  place.tabIndex = 0;
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", "Timeline player");
  window.addEventListener("hashchange", fromAddress);
  select("get");
  fromAddress();
})();
