//! Tables with etcdctl's looks. They know nothing of their cells.

use comfy_table::{
    Cell, CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle,
};

/// What etcdctl has rows for.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) header: &'static [&'static str],
    pub(super) rows: Vec<Vec<String>>,
}

/// A frame, and a line below the header.
const ASCII: TableStyle = TableStyle::new()
    .top_border(LINE)
    .header_lines(CELLS)
    .header_separator(LINE)
    .content_lines(CELLS)
    .bottom_border(LINE);
const LINE: LineStyle = LineStyle::new('+', '-', '+', '+');
const CELLS: ContentLineStyle = ContentLineStyle::new('|', '|', '|');

impl Rows {
    /// The format `simple`: a line for each row.
    pub(super) fn lines(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.join(", ")).collect()
    }

    /// The format `table`.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(ASCII)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(self.header.iter().enumerate().map(|(index, name)| {
                let name = name.replace('_', " ").to_uppercase();
                Cell::new(self.centered(index, &name))
            }));
        for row in &self.rows {
            let cells = row.iter();
            table.add_row(cells.map(|c| Cell::new(c).set_alignment(CellAlignment::Right)));
        }
        table.to_string()
    }

    /// `name` in the middle of its column; if that is not possible, nearer to the left.
    fn centered(&self, index: usize, name: &str) -> String {
        let cells = self.rows.iter().filter_map(|row| row.get(index));
        let width = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        let missing = width.saturating_sub(name.chars().count());
        let left = missing / 2;
        format!("{}{name}", " ".repeat(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_a_frame_and_a_header_in_the_middle() {
        let rows = Rows {
            header: &["endpoint", "db_size", "is leader"],
            rows: vec![
                vec![
                    "127.0.0.1:2379".to_owned(),
                    "20 kB".to_owned(),
                    "true".to_owned(),
                ],
                vec!["b:1".to_owned(), "7 B".to_owned(), "false".to_owned()],
            ],
        };
        let expected = "\
+----------------+---------+-----------+
|    ENDPOINT    | DB SIZE | IS LEADER |
+----------------+---------+-----------+
| 127.0.0.1:2379 |   20 kB |      true |
|            b:1 |     7 B |     false |
+----------------+---------+-----------+";
        assert_eq!(rows.table(), expected);
        assert_eq!(rows.lines()[1], "b:1, 7 B, false");
    }

    #[test]
    fn a_table_without_rows_has_a_header() {
        let rows = Rows {
            header: &["a"],
            rows: Vec::new(),
        };
        assert_eq!(rows.table(), "+---+\n| A |\n+---+\n+---+");
    }
}
