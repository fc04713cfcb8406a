//! Tables of aligned columns that give up columns, not alignment, when the width is short.

use super::{columns, cut_end};

/// Where a cell's text stands in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// A column: how it is headed, aligned, and how readily it is given up.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The heading.
    pub heading: &'static str,
    /// The alignment of heading and cells.
    pub align: Align,
    /// Columns of the highest rank go first when the width is short; rank 0 stays, cut if it must be.
    pub rank: u8,
}

impl Column {
    /// A column of names.
    pub const fn left(heading: &'static str, rank: u8) -> Column {
        Column {
            heading,
            align: Align::Left,
            rank,
        }
    }

    /// A column of numbers.
    pub const fn right(heading: &'static str, rank: u8) -> Column {
        Column {
            heading,
            align: Align::Right,
            rank,
        }
    }
}

/// Rows under headings.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    /// Widest gap between columns; one space is the narrowest.
    gap: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[Column]) -> Table {
        Table {
            columns: columns.to_vec(),
            gap: 2,
            rows: Vec::new(),
        }
    }

    /// A table whose columns stand as close as they can.
    pub fn dense(columns: &[Column]) -> Table {
        Table {
            gap: 1,
            ..Table::new(columns)
        }
    }

    /// Adds a row: one cell a column, safe to print.
    pub fn row(&mut self, mut cells: Vec<String>) {
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// Whether all columns fit.
    pub fn fits(&self, width: usize) -> bool {
        let all: Vec<_> = (0..self.columns.len()).collect();
        self.width_of(&all, 1) <= width
    }

    /// The headings and the rows, one text a line, none wider than `width`.
    pub fn lines(&self, width: usize) -> Vec<String> {
        let mut shown: Vec<_> = (0..self.columns.len()).collect();
        loop {
            let mut gaps = (1..=self.gap).rev();
            if let Some(gap) = gaps.find(|&gap| self.width_of(&shown, gap) <= width) {
                return self.draw(&shown, gap, width);
            }
            // The last of the columns of the highest rank.
            let readiest = shown
                .iter()
                .copied()
                .max_by_key(|&index| self.columns[index].rank);
            match readiest {
                Some(index) if self.columns[index].rank > 0 => {
                    shown.retain(|&other| other != index)
                }
                _ => return self.draw(&shown, 1, width),
            }
        }
    }

    fn draw(&self, shown: &[usize], gap: usize, width: usize) -> Vec<String> {
        let headings: Vec<_> = self
            .columns
            .iter()
            .map(|column| column.heading.to_owned())
            .collect();
        core::iter::once(&headings)
            .chain(&self.rows)
            .map(|cells| {
                let mut line = String::new();
                for (position, &index) in shown.iter().enumerate() {
                    if position > 0 {
                        line.extend(core::iter::repeat_n(' ', gap));
                    }
                    let padding = self.column_width(index) - columns(&cells[index]);
                    let padding = core::iter::repeat_n(' ', padding);
                    match self.columns[index].align {
                        Align::Left => {
                            line.push_str(&cells[index]);
                            line.extend(padding);
                        }
                        Align::Right => {
                            line.extend(padding);
                            line.push_str(&cells[index]);
                        }
                    }
                }
                cut_end(line.trim_end(), width)
            })
            .collect()
    }

    fn width_of(&self, shown: &[usize], gap: usize) -> usize {
        let cells: usize = shown.iter().map(|&index| self.column_width(index)).sum();
        cells + gap * shown.len().saturating_sub(1)
    }

    fn column_width(&self, index: usize) -> usize {
        let cells = self.rows.iter().map(|row| columns(&row[index]));
        cells
            .chain([columns(self.columns[index].heading)])
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[
            Column::left("name", 0),
            Column::right("count", 0),
            Column::right("more", 1),
        ]);
        table.row(vec!["a".into(), "1,000".into(), "12345678".into()]);
        table.row(vec!["漢字".into(), "7".into()]);
        table
    }

    #[test]
    fn columns_are_aligned() {
        assert_eq!(
            table().lines(40),
            [
                "name  count      more",
                "a     1,000  12345678",
                "漢字      7"
            ]
        );
    }

    #[test]
    fn narrow_tables_lose_gaps_then_columns_then_ends() {
        assert_eq!(table().lines(20)[1], "a    1,000 12345678");
        assert_eq!(table().lines(18)[0], "name  count");
        assert_eq!(table().lines(6)[0], "nam...");
        for width in 0..30 {
            assert!(
                table()
                    .lines(width)
                    .iter()
                    .all(|line| columns(line) <= width)
            );
        }
    }
}
