//! Pictures of throughput, by the number of connections, of pending requests and of keys, and of
//! latency.

use std::fs;
use std::io;
use std::path::Path;

use plotters::prelude::*;

use super::load::{Load, Taken};
use super::server::Kind;
use super::{compare, throughput};
use crate::common::median;

const KVS: RGBColor = RGBColor(29, 78, 216);
const REDIS: RGBColor = RGBColor(185, 28, 28);
const GREY: RGBColor = RGBColor(100, 116, 139);

/// The colours of all pictures at night.
const DARK: &str = include_str!("../../docs/pictures/dark.css");

/// A picture of lines, which have one point for each place on the x axis.
struct Plot {
    title: &'static str,
    x: &'static str,
    y: &'static str,
    places: Vec<String>,
    lines: Vec<(&'static str, ShapeStyle, Vec<f64>)>,
}

/// Measures both servers, and draws the pictures into files in `dir`.
pub(super) fn draw(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let load = Load {
        connections: 50,
        depth: 1,
        gets: 100,
        keys: 10_000,
        value_bytes: 64,
    };

    let title = "Throughput with one request under way on each connection";
    let connections = [1, 2, 5, 10, 20, 50, 100, 200, 500];
    let plot = throughputs(title, "connections", &connections, |connections| Load {
        connections,
        ..load.clone()
    });
    plot?.draw(&dir.join("connections.svg"))?;

    let (title, x) = (
        "Throughput of 50 connections",
        "requests under way on each connection",
    );
    let plot = throughputs(title, x, &[1, 2, 4, 8, 16, 32, 64], |depth| Load {
        depth,
        ..load.clone()
    });
    plot?.draw(&dir.join("depth.svg"))?;

    let title = "Throughput as the store grows";
    let sizes = [10_000, 100_000, 1_000_000, 5_000_000];
    let plot = throughputs(title, "keys", &sizes, |keys| Load {
        keys,
        depth: 16,
        value_bytes: 100,
        ..load.clone()
    });
    let mut plot = plot?;
    plot.places = ["10 k", "100 k", "1 M", "5 M"].map(str::to_owned).into();
    plot.draw(&dir.join("growth.svg"))?;

    let percents = [1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9];
    let latencies = |taken: &[Taken]| {
        let at = |percent: f64| {
            let micros = |taken: &Taken| taken.micros(percent / 100.0);
            median(taken.iter().map(micros))
        };
        percents.map(at).into()
    };
    let plot = Plot {
        title: "Latency with 50 connections, one request under way on each",
        x: "percent of requests that take no longer",
        y: "microseconds",
        places: percents.map(|percent| percent.to_string()).into(),
        lines: lines(&[load], latencies)?,
    };
    plot.draw(&dir.join("latency.svg"))
}

/// Measures the throughput at several places on the x axis.
fn throughputs<N: Copy + ToString>(
    title: &'static str,
    x: &'static str,
    places: &[N],
    load: impl Fn(N) -> Load,
) -> io::Result<Plot> {
    let loads: Vec<_> = places.iter().copied().map(load).collect();
    Ok(Plot {
        title,
        x,
        y: "thousand requests a second",
        places: places.iter().map(N::to_string).collect(),
        lines: lines(&loads, |taken| vec![throughput(taken) / 1e3])?,
    })
}

/// Measures reads and writes under each load, and makes a line of the `points` of each server.
fn lines(
    loads: &[Load],
    points: impl Fn(&[Taken]) -> Vec<f64>,
) -> io::Result<Vec<(&'static str, ShapeStyle, Vec<f64>)>> {
    let mut lines = vec![
        ("kvs, get", KVS.stroke_width(4), Vec::new()),
        ("redis, get", REDIS.stroke_width(4), Vec::new()),
        ("kvs, set", KVS.mix(0.8).stroke_width(2), Vec::new()),
        ("redis, set", REDIS.mix(0.8).stroke_width(2), Vec::new()),
    ];
    for load in loads {
        for (gets, lines) in [100, 0].into_iter().zip(lines.chunks_mut(2)) {
            let load = Load {
                gets,
                ..load.clone()
            };
            let compared = compare([Kind::Kvs, Kind::Redis], "everysec", &load)?;
            for (taken, (_, _, line)) in compared.iter().zip(lines) {
                if !taken.is_empty() {
                    line.extend(points(taken));
                }
            }
        }
    }
    lines.retain(|(_, _, points)| !points.is_empty());
    Ok(lines)
}

impl Plot {
    /// Draws the picture into the file `path`.
    fn draw(&self, path: &Path) -> io::Result<()> {
        self.draw_into(path).map_err(io::Error::other)?;
        fs::write(path, with_dark_colours(&fs::read_to_string(path)?))?;
        println!("{}", path.display());
        Ok(())
    }

    fn draw_into(
        &self,
        path: &Path,
    ) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'_> as DrawingBackend>::ErrorType>> {
        let area = SVGBackend::new(path, (720, 420)).into_drawing_area();
        area.fill(&WHITE)?;
        let highest = self.lines.iter().flat_map(|(_, _, points)| points);
        let highest = highest.copied().fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(0..self.places.len() - 1, 0.0..highest * 1.1)?;
        let place = |n: &usize| self.places.get(*n).cloned().unwrap_or_default();
        chart
            .configure_mesh()
            .label_style(("sans-serif", 15))
            .axis_desc_style(("sans-serif", 15))
            .x_labels(self.places.len())
            .x_label_formatter(&place)
            .x_desc(self.x)
            .y_desc(self.y)
            .y_label_formatter(&|y| format!("{y:.0}"))
            .light_line_style(TRANSPARENT)
            .draw()?;
        // The names of the lines stand where the lines are low.
        let (_, _, first) = &self.lines[0];
        let position = if first[0] > first[first.len() - 1] {
            SeriesLabelPosition::UpperRight
        } else {
            SeriesLabelPosition::UpperLeft
        };
        for (name, style, points) in &self.lines {
            let points = points.iter().copied().enumerate();
            chart
                .draw_series(LineSeries::new(points, *style))?
                .label(*name)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], *style));
        }
        chart
            .configure_series_labels()
            .label_font(("sans-serif", 15))
            .position(position)
            .background_style(WHITE.mix(0.8))
            .border_style(GREY)
            .draw()?;
        area.present()
    }
}

/// Returns the picture with the colours of the others, which depend on the theme of the reader.
fn with_dark_colours(svg: &str) -> String {
    let style = format!(">\n<style>\n{DARK}</style>\n");
    let colours = ["#1D4ED8", "#B91C1C", "#64748B", "#FFFFFF"];
    let svg = colours
        .iter()
        .fold(svg.replacen(">\n", &style, 1), |svg, colour| {
            svg.replace(colour, &colour.to_lowercase())
        });
    svg.replace("#000000", "#0f172a")
}
