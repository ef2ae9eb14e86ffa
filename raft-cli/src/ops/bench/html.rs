//! A report as one page that needs nothing else: tables, and the distribution of times as a curve.
//! It does not know where the figures are from.

use std::fmt::Write;

use super::print::{load_line, ratio_rows, rounds_note, rows, usage_line};
use super::report::Report;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
/// Around the plot, for the axes' labels.
const MARGIN: f64 = 60.0;

/// Told apart by most eyes; targets and operations beyond them begin anew.
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

const STYLE: &str = "body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #bbb;padding:.2rem .6rem}\
td{text-align:right}td:first-child,td:nth-child(2){text-align:left}svg{width:100%;height:auto}\
text{font:12px sans-serif}";

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let title = escape(&report.load.workload);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<h1>{title}</h1>\n<p>{}</p>\n",
        escape(&load_line(report))
    );
    page.push_str(&figures(report));
    page.push_str(&plot(report));
    if !report.ratios.is_empty() {
        let (header, rows) = ratio_rows(report);
        page.push_str("<h2>Ratios</h2>\n");
        page.push_str(&table(&header, &rows));
    }
    page.push_str("<h2>Failures and costs</h2>\n<ul>\n");
    for target in &report.targets {
        for line in notes(target) {
            item(&mut page, &format!("{}: {line}", target.name));
        }
    }
    page.push_str("</ul>\n</html>\n");
    page
}

fn notes(target: &super::report::TargetReport) -> Vec<String> {
    let mut notes: Vec<String> = target
        .errors
        .iter()
        .map(|(kind, count)| format!("failed {count} times: {kind}"))
        .collect();
    if notes.is_empty() {
        notes.push("no failures".to_owned());
    }
    if let Some(usage) = &target.servers {
        notes.push(usage_line("servers", usage));
    }
    notes.push(usage_line("load generator", &target.generator));
    notes
}

fn item(page: &mut String, text: &str) {
    // Writing to a string does not fail, here and below.
    let _ = writeln!(page, "<li>{}</li>", escape(text));
}

fn figures(report: &Report) -> String {
    let mut header = vec!["target".to_owned(), "operation".to_owned()];
    let mut lines = Vec::new();
    for target in &report.targets {
        for figures in &target.figures {
            let rows = rows(figures);
            if header.len() == 2 {
                header.extend(rows.iter().map(|(name, _)| (*name).to_owned()));
            }
            let mut line = vec![
                format!("{}{}", target.name, rounds_note(target)),
                figures.operation.name().to_owned(),
            ];
            line.extend(rows.map(|(_, value)| value));
            lines.push(line);
        }
    }
    table(&header, &lines)
}

fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let mut text = String::from("<table>\n<tr>");
    for cell in header {
        let _ = write!(text, "<th>{}</th>", escape(cell));
    }
    text.push_str("</tr>\n");
    for row in rows {
        text.push_str("<tr>");
        for cell in row {
            let _ = write!(text, "<td>{}</td>", escape(cell));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table>\n");
    text
}

/// Shares to the right, spread out towards 1 as nines; times upwards in powers of ten.
struct Axes {
    nines_max: f64,
    low: f64,
    high: f64,
}

impl Axes {
    fn of(report: &Report) -> Option<Self> {
        let points = || {
            let curves = report.targets.iter().flat_map(|target| &target.curves);
            curves.flat_map(|(_, points)| points)
        };
        points().next()?;
        let least = points().map(|point| point.1).fold(f64::MAX, f64::min);
        let most = points().map(|point| point.1).fold(0.0, f64::max);
        Some(Self {
            nines_max: points().map(|point| nines(point.0)).fold(1.0, f64::max),
            low: least.max(1e-3).log10().floor(),
            // Never the same, also if all times are.
            high: (most.max(1e-3).log10() + 1e-9).ceil(),
        })
    }

    fn x(&self, share: f64) -> f64 {
        MARGIN + nines(share) / self.nines_max * (WIDTH - 2.0 * MARGIN)
    }

    fn y(&self, ms: f64) -> f64 {
        let part = (ms.max(1e-3).log10() - self.low) / (self.high - self.low).max(1.0);
        HEIGHT - MARGIN - part * (HEIGHT - 2.0 * MARGIN)
    }
}

/// 0.9 is 1, 0.99 is 2.
fn nines(share: f64) -> f64 {
    -(1.0 - share).max(1e-9).log10()
}

fn plot(report: &Report) -> String {
    let Some(axes) = Axes::of(report) else {
        return String::new();
    };
    let mut svg = format!(
        "<h2>Time that a share of the operations took at most</h2>\n\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"percentiles\">\n"
    );
    grid(&mut svg, &axes);
    let mut number = 0;
    for target in &report.targets {
        for (lane, points) in &target.curves {
            let colour = COLOURS[number % COLOURS.len()];
            let line: Vec<String> = points
                .iter()
                .map(|(share, ms)| format!("{:.1},{:.1}", axes.x(*share), axes.y(*ms)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
                line.join(" ")
            );
            let label = escape(&format!("{} {}", target.name, lane.name()));
            let (x, y) = (MARGIN + 10.0, MARGIN + 16.0 * f64::from(number as u32));
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{label}</text>"
            );
            number += 1;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn grid(svg: &mut String, axes: &Axes) {
    let (left, right) = (MARGIN, WIDTH - MARGIN);
    let (top, bottom) = (MARGIN, HEIGHT - MARGIN);
    let mut line = |x1: f64, y1: f64, x2: f64, y2: f64| {
        let _ = writeln!(
            svg,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ccc\"/>"
        );
    };
    let shares = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];
    let shares = shares.map(|share| (share, axes.x(share)));
    let powers = axes.low as i32..=axes.high as i32;
    for (_, x) in shares.iter().filter(|(_, x)| *x <= right) {
        line(*x, top, *x, bottom);
    }
    for power in powers.clone() {
        let y = axes.y(10_f64.powi(power));
        line(left, y, right, y);
    }
    let mut label = |x: f64, y: f64, anchor: &str, text: String| {
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    };
    for (share, x) in shares.iter().filter(|(_, x)| *x <= right) {
        let percent = format!("{:.3}", share * 100.0);
        let percent = percent.trim_end_matches('0').trim_end_matches('.');
        let percent = if percent.is_empty() { "0" } else { percent };
        label(*x, bottom + 18.0, "middle", format!("{percent}%"));
    }
    for power in powers {
        let y = axes.y(10_f64.powi(power)) + 4.0;
        label(left - 6.0, y, "end", format!("{} ms", 10_f64.powi(power)));
    }
}

/// Text that a page shows as it is.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
