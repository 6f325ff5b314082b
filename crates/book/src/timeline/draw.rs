//! A recording as SVG. Time goes down, and each task has a lane.

use std::fmt::Write as _;

use super::{Event, Recording};

/// The rules that change the colours at night.
pub(super) const DARK: &str = include_str!("../../../../docs/pictures/dark.css");

/// The distance of two lanes, and of two steps.
const LANE: usize = 118;
const ROW: usize = 36;
/// The place of the first lane, and of the first step.
const LEFT: usize = 52;
const TOP: usize = 66;
/// Half of the width of a bar.
const BAR: usize = 6;
/// The most characters of a label beside a bar.
const LABEL: usize = 17;

const INK: &str = "#0f172a";
const GREY: &str = "#475569";
const BLUE: &str = "#1d4ed8";
const AMBER: &str = "#b45309";
const GREEN: &str = "#15803d";
const RED: &str = "#b91c1c";

/// Draws a recording. Each step is a group with the attribute `data-step`, its number from 1 on.
/// A drawing that stands alone has a title, and colours for the night.
pub(super) fn draw(recording: &Recording, title: &str, is_alone: bool) -> String {
    let mut drawing = Drawing::new(recording);
    for step in &recording.steps {
        drawing.step(&step.event);
    }
    drawing.finish(title, is_alone)
}

struct Drawing {
    lanes: Vec<String>,
    /// The row of the current step.
    row: usize,
    /// The task that is being polled.
    polled: Option<usize>,
    is_parked: bool,
    out: String,
}

impl Drawing {
    fn new(recording: &Recording) -> Drawing {
        let tasks = recording.tasks.iter().map(|lane| lane.name.clone());
        let mut lanes = vec!["executor".to_owned()];
        lanes.extend(tasks);
        lanes.extend(["wire".to_owned(), "server".to_owned()]);
        Drawing {
            lanes,
            row: 0,
            polled: None,
            is_parked: false,
            out: String::new(),
        }
    }

    fn x(&self, lane: &str) -> usize {
        let n = self.lanes.iter().position(|name| name == lane);
        LEFT + n.unwrap_or(0) * LANE
    }

    fn y(&self) -> usize {
        TOP + self.row * ROW
    }

    fn step(&mut self, event: &Event) {
        let _ = writeln!(self.out, "<g data-step=\"{}\">", self.row + 1);
        if let Event::Poll { task, .. } = event {
            self.polled = Some(self.x(task));
            self.is_parked = false;
        }
        if matches!(event, Event::Parked {}) {
            self.is_parked = true;
        }
        self.bars(event);
        self.event(event);
        self.out += "</g>\n";
        self.row += 1;
        if matches!(event, Event::Polled { .. }) {
            self.polled = None;
        }
    }

    /// Draws the bars that last from this step to the next one.
    fn bars(&mut self, event: &Event) {
        let y = self.y();
        let is_last = matches!(event, Event::End);
        if let Some(x) = self.polled
            && !matches!(event, Event::Polled { .. })
            && !is_last
        {
            let x = x - BAR;
            let width = 2 * BAR;
            let _ = writeln!(
                self.out,
                r##"<rect x="{x}" y="{y}" width="{width}" height="{ROW}" fill="#2563eb"/>"##
            );
        }
        if self.is_parked && !is_last {
            let (x, width) = (LEFT - BAR, 2 * BAR);
            let _ = writeln!(
                self.out,
                r##"<rect x="{x}" y="{y}" width="{width}" height="{ROW}" fill="#cbd5e1"/>"##
            );
        }
    }

    fn event(&mut self, event: &Event) {
        let y = self.y();
        match event {
            Event::Made { task } => {
                let x = self.x(task);
                let _ = writeln!(
                    self.out,
                    r##"<circle cx="{x}" cy="{y}" r="5" fill="#ffffff" stroke="{INK}" stroke-width="2"/>"##
                );
                self.label(x, y, "made", INK);
            }
            Event::Poll { task, n, state } => {
                let x = self.x(task);
                self.arrow(LEFT + BAR, x - BAR, "#64748b", "", false);
                self.label(x, y, &format!("poll {n}"), INK);
                self.second_label(x, state.as_deref());
            }
            Event::Polled {
                task,
                result,
                state,
            } => {
                let x = self.x(task);
                self.arrow(x - BAR, LEFT + BAR, "#64748b", "", true);
                let colour = match &**result {
                    "NotReady" => GREY,
                    result if result.starts_with("Ready") => GREEN,
                    _ => RED,
                };
                self.label(x, y, result, colour);
                self.second_label(x, state.as_deref());
            }
            Event::Wake { task, by, times } => self.wake(task, by, times.unwrap_or(1)),
            Event::Item { task, text } => self.label(self.x(task), y, text, GREEN),
            Event::Sent { bytes, .. } => self.bytes("connection", "server", *bytes),
            Event::Served { bytes, .. } => self.bytes("server", "wire", *bytes),
            Event::Arrived { bytes, .. } => self.bytes("wire", "connection", *bytes),
            Event::Parked {} => self.label(LEFT, y, "sleeps", GREY),
            Event::Dropped { task } => self.dropped(task),
            Event::Closed {} => {
                let (from, to) = (self.x("server"), self.x("connection"));
                self.arrow(from, to, RED, "closed", false);
            }
            Event::End => {
                let right = self.width() - 8;
                let _ = writeln!(
                    self.out,
                    r##"<path d="M8 {y} H{right}" stroke="{INK}" stroke-width="2"/>"##
                );
            }
        }
    }

    fn dropped(&mut self, task: &str) {
        let (x, y) = (self.x(task), self.y());
        let (left, right, above, below) = (x - 6, x + 6, y - 6, y + 6);
        let _ = writeln!(
            self.out,
            r##"<path d="M{left} {above} L{right} {below} M{right} {above} L{left} {below}" stroke="{RED}" stroke-width="3"/>"##
        );
        self.label(x, y, "dropped", RED);
    }

    fn wake(&mut self, task: &str, by: &str, times: usize) {
        let (x, y) = (self.x(task), self.y());
        let mut label = match by {
            "reactor" | "timer" | "program" | "another thread" => by.to_owned(),
            _ => "wakes".to_owned(),
        };
        if times > 1 {
            let _ = write!(label, " {times} times");
        }
        if by == task {
            let (right, above, below) = (x + 40, y - 8, y + 8);
            let start = x + BAR;
            let _ = writeln!(
                self.out,
                r##"<path d="M{start} {above} C{right} {above} {right} {below} {start} {below}" fill="none" stroke="{AMBER}" stroke-width="2" marker-end="url(#head-amber)"/>"##
            );
            self.label(x + 30, y, "wakes itself", AMBER);
            return;
        }
        let from = match by {
            "reactor" => self.x("wire"),
            "timer" | "program" | "another thread" => LEFT,
            by => self.x(by),
        };
        self.arrow(from, x, AMBER, &label, false);
    }

    /// Draws an arrow in the row of the step, with a label above its middle.
    fn arrow(&mut self, from: usize, to: usize, colour: &str, label: &str, is_dashed: bool) {
        let y = self.y();
        // The head ends beside the bar of the lane, and not under it.
        let gap = if label.is_empty() { 0 } else { BAR + 2 };
        let (from, to) = if from < to {
            (from + gap, to - gap)
        } else {
            (from - gap, to + gap)
        };
        let width = if label.is_empty() { 1 } else { 2 };
        let head = match colour {
            AMBER => "amber",
            GREEN => "green",
            RED => "red",
            _ => "grey",
        };
        let dashes = if is_dashed {
            " stroke-dasharray=\"4 3\""
        } else {
            ""
        };
        if !label.is_empty() {
            // The label covers the lanes that it crosses, and the arrow is above it.
            let (x, y, label) = (usize::midpoint(from, to), y - 4, escaped(label));
            let _ = writeln!(
                self.out,
                r##"<text x="{x}" y="{y}" fill="{colour}" stroke="#ffffff" stroke-width="3" paint-order="stroke" text-anchor="middle">{label}</text>"##
            );
        }
        let _ = writeln!(
            self.out,
            r##"<path d="M{from} {y} H{to}" stroke="{colour}" stroke-width="{width}"{dashes} marker-end="url(#head-{head})"/>"##
        );
    }

    fn bytes(&mut self, from: &str, to: &str, bytes: usize) {
        let (from, to) = (self.x(from), self.x(to));
        self.arrow(from, to, GREEN, &format!("{bytes} bytes"), false);
    }

    /// Writes a text to the right of a lane.
    fn label(&mut self, x: usize, y: usize, label: &str, colour: &str) {
        self.text(x + BAR + 5, y + 4, &shortened(label), colour);
    }

    /// Writes the state of a future below its label.
    fn second_label(&mut self, x: usize, state: Option<&str>) {
        if let Some(state) = state {
            self.text(x + BAR + 5, self.y() + 17, &shortened(state), BLUE);
        }
    }

    fn text(&mut self, x: usize, y: usize, text: &str, colour: &str) {
        let text = escaped(text);
        let _ = writeln!(
            self.out,
            r#"<text x="{x}" y="{y}" fill="{colour}" text-anchor="start">{text}</text>"#
        );
    }

    fn width(&self) -> usize {
        LEFT + self.lanes.len() * LANE - 60
    }

    fn finish(self, title: &str, is_alone: bool) -> String {
        let (width, height) = (self.width(), TOP + (self.row - 1) * ROW + 16);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\" \
             role=\"img\">\n"
        );
        let title = escaped(title);
        let _ = writeln!(svg, "<title>{title}</title>");
        if is_alone {
            let _ = writeln!(svg, "<style>\n{DARK}</style>");
        }
        svg += "<defs>\n";
        for (name, colour) in [
            ("grey", "#64748b"),
            ("amber", AMBER),
            ("green", GREEN),
            ("red", RED),
        ] {
            let _ = writeln!(
                svg,
                r##"<marker id="head-{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="{colour}"/></marker>"##
            );
        }
        let _ = writeln!(
            svg,
            "</defs>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
        );
        let bottom = height - 8;
        for (n, lane) in self.lanes.iter().enumerate() {
            let x = LEFT + n * LANE;
            let (left, lane) = (x - 46, escaped(lane));
            let _ = writeln!(
                svg,
                r##"<path d="M{x} 36 V{bottom}" stroke="#64748b" stroke-width="1"/>
<rect x="{left}" y="10" width="92" height="26" rx="5" fill="#f1f5f9" stroke="#64748b"/>
<text x="{x}" y="28" fill="{INK}" text-anchor="middle" font-weight="bold">{lane}</text>"##
            );
        }
        svg + &self.out + "</svg>\n"
    }
}

/// Returns the beginning of a label that is too long.
fn shortened(label: &str) -> String {
    if label.chars().count() <= LABEL {
        return label.to_owned();
    }
    let start: String = label.chars().take(LABEL - 1).collect();
    start + "…"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
