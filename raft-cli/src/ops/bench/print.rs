//! A report as text: short, as tables, or as JSON. It does not know where the figures are from.

use std::fmt::Write;

use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};

use super::report::{Figures, Report, TargetReport, UsageReport};

/// In what form figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people.
    Simple,
    /// Tables for people.
    Table,
    /// One object for programs, with the figures of every round.
    Json,
}

/// The text of a report, without the last line's end.
pub(crate) fn text(report: &Report, format: Format) -> String {
    match format {
        Format::Simple => simple(report),
        Format::Table => tables(report),
        Format::Json => serde_json::to_string_pretty(report).expect("all its keys are text"),
    }
}

/// What was done, in one line.
pub(crate) fn load_line(report: &Report) -> String {
    let load = &report.load;
    format!(
        "{}, {}, {} clients over {} connections, {} after {} s of warm-up; keys {} B ({}, {}), \
         values {} B, seed {}",
        load.workload,
        load.pace,
        load.clients,
        load.connections,
        load.extent,
        load.warmup_seconds,
        load.key_bytes,
        load.keys,
        load.order,
        load.value_bytes,
        load.seed,
    )
}

/// What follows a target's name where its figures stand.
pub(crate) fn rounds_note(target: &TargetReport) -> String {
    match target.rounds.len() {
        1 => String::new(),
        rounds => format!(" (medians of {rounds} rounds)"),
    }
}

/// The figures of a target beside their names.
pub(crate) fn rows(figures: &Figures) -> [(&'static str, String); 9] {
    let ms = |value: f64| format!("{value:.3} ms");
    [
        ("rate", format!("{:.1}/s", figures.rate_per_second)),
        ("mean", ms(figures.mean_ms)),
        ("p50", ms(figures.p50_ms)),
        ("p90", ms(figures.p90_ms)),
        ("p95", ms(figures.p95_ms)),
        ("p99", ms(figures.p99_ms)),
        ("p99.9", ms(figures.p999_ms)),
        ("max", ms(figures.max_ms)),
        ("count", figures.count.to_string()),
    ]
}

/// What processes used, in words.
pub(crate) fn usage_line(who: &str, usage: &UsageReport) -> String {
    let mebibytes = usage.peak_bytes as f64 / f64::from(1 << 20);
    format!(
        "{who}: {:.4} CPU seconds per 1000 operations, peak memory {mebibytes:.1} MiB",
        usage.cpu_seconds_per_1000_operations
    )
}

fn simple(report: &Report) -> String {
    let mut text = load_line(report);
    for target in &report.targets {
        let name = &target.name;
        push(&mut text, format!("\n{name}{}", rounds_note(target)));
        for figures in &target.figures {
            push(&mut text, format!("  {}", figures.operation.name()));
            for (figure, value) in rows(figures) {
                push(&mut text, format!("    {figure:<6}{value:>14}"));
            }
        }
        push_rest(&mut text, target);
    }
    if let (Some(first), false) = (report.targets.first(), report.ratios.is_empty()) {
        push(&mut text, format!("\nratios of {}", first.name));
    }
    for ratio in &report.ratios {
        let operation = ratio.operation.name();
        let mut line = format!("  {operation} {} {:.4}", ratio.figure, ratio.value);
        for other in &ratio.others {
            let times = times(other.ratio);
            // Writing to a string does not fail.
            let _ = write!(line, " | {} {:.4} ({times})", other.target, other.value);
        }
        push(&mut text, line);
    }
    text
}

fn push(text: &mut String, line: impl AsRef<str>) {
    text.push('\n');
    text.push_str(line.as_ref());
}

fn push_rest(text: &mut String, target: &TargetReport) {
    for (kind, count) in &target.errors {
        push(text, format!("  failed {count} times: {kind}"));
    }
    if target.errors.is_empty() {
        push(text, "  no failures");
    }
    if let Some(usage) = &target.servers {
        push(text, format!("  {}", usage_line("servers", usage)));
    }
    let own = usage_line("load generator", &target.generator);
    push(text, format!("  {own}"));
}

fn tables(report: &Report) -> String {
    let mut text = load_line(report);
    let mut table = new_table();
    table.set_header([
        "target",
        "operation",
        "rate",
        "mean",
        "p50",
        "p90",
        "p95",
        "p99",
        "p99.9",
        "max",
        "count",
    ]);
    for target in &report.targets {
        for figures in &target.figures {
            let mut row = vec![target.name.clone(), figures.operation.name().to_owned()];
            row.extend(rows(figures).map(|(_, value)| value));
            table.add_row(row);
        }
    }
    push(&mut text, to_text(table, 2));
    for target in &report.targets {
        push(&mut text, format!("{}{}", target.name, rounds_note(target)));
        push_rest(&mut text, target);
    }
    if !report.ratios.is_empty() {
        push(&mut text, to_text(ratio_table(report), 2));
    }
    text
}

/// How the first target compares with the others.
pub(crate) fn ratio_rows(report: &Report) -> (Vec<String>, Vec<Vec<String>>) {
    let names = report.targets.iter().map(|target| target.name.clone());
    let mut header = vec!["operation".to_owned(), "figure".to_owned()];
    for (index, name) in names.enumerate() {
        header.push(name);
        if index > 0 {
            header.push("ratio".to_owned());
        }
    }
    let rows = report.ratios.iter().map(|ratio| {
        let mut row = vec![
            ratio.operation.name().to_owned(),
            ratio.figure.to_owned(),
            format!("{:.4}", ratio.value),
        ];
        for other in &ratio.others {
            row.extend([format!("{:.4}", other.value), times(other.ratio)]);
        }
        row
    });
    (header, rows.collect())
}

fn ratio_table(report: &Report) -> Table {
    let (header, rows) = ratio_rows(report);
    let mut table = new_table();
    table.set_header(header);
    table.add_rows(rows);
    table
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3} x"))
}

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_FULL_CONDENSED);
    table
}

/// Numbers stand to the right, below each other.
fn to_text(mut table: Table, names: usize) -> String {
    for column in table.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

#[cfg(test)]
pub(crate) mod tests;
