//! `et list`: files, newest first; a table for people, tab-separated lines for programs.

use clap::Args;
use etransfer_client::{FileInfo, FileStatus};

use crate::cli::{OutputArgs, RemoteArgs};
use crate::home::Home;
use crate::printer::Printer;
use crate::{human, remote};

/// Arguments.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which page
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    page: u64,
    /// Files per page
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100))]
    size: u64,
    /// Also running uploads (the default)
    #[arg(long, overrides_with = "complete")]
    all: bool,
    /// Complete files only
    #[arg(long)]
    complete: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints one page.
pub fn run(args: &ListArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let client = remote::client(&args.remote, &Home::of_user()?, printer)?;
    let list = client.list(args.page, args.size, args.complete.then_some(FileStatus::Complete))?;
    if printer.is_json() {
        return Ok(printer.json(&list)?);
    }
    if !printer.is_for_person() {
        for file in &list.files {
            printer.data(row(file, |bytes| bytes.to_string()).join("\t"))?;
        }
        return Ok(());
    }
    let mut rows = vec![["ID", "SIZE", "STATE", "RETENTION", "UPDATED", "NAME"].map(str::to_owned)];
    rows.extend(list.files.iter().map(|file| row(file, human::size)));
    for line in align(&rows) {
        printer.data(line)?;
    }
    if list.total > list.files.len() as u64 {
        printer.note(format_args!("{} of {} files; --page {} shows more", list.files.len(), list.total, args.page + 1));
    }
    Ok(())
}

fn row(file: &FileInfo, size: impl Fn(u64) -> String) -> [String; 6] {
    let total = file.size.map_or_else(|| "?".to_owned(), size);
    let state = match file.status {
        FileStatus::Complete => "complete".to_owned(),
        FileStatus::Partial => format!("{}%", human::percent(file.uploaded_size, file.size.unwrap_or(u64::MAX))),
    };
    let retention = file.metadata.retention.as_deref().unwrap_or("-");
    let updated: String = file.updated_at.as_deref().unwrap_or("-").chars().take("2026-11-20T12:19:03".len()).collect();
    [&file.file_id, &total, &state, retention, &updated, &file.filename].map(human::visible)
}

/// Columns as wide as their widest cell; numbers (the second) to the right, the last as long as it is.
fn align(rows: &[[String; 6]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3), width(4)];
    let line = |row: &[String; 6]| {
        let [id, size, state, retention, updated, name] = row;
        let [w0, w1, w2, w3, w4] = widths;
        format!("{id:w0$}  {size:>w1$}  {state:w2$}  {retention:w3$}  {updated:w4$}  {name}")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_one_file_and_cannot_break_the_table() {
        let file: FileInfo = serde_json::from_value(serde_json::json!({
            "file_id": "ab", "filename": "a\tb\n文", "size": 2048, "status": "partial", "uploaded_size": 1024,
            "updated_at": "2026-11-20T12:19:03.114410", "metadata": {"retention": "permanent"},
        }))
        .unwrap();
        let expected = ["ab", "2.0 KiB", "50%", "permanent", "2026-11-20T12:19:03", "a\u{fffd}b\u{fffd}文"];
        assert_eq!(row(&file, human::size), expected.map(str::to_owned));
    }

    #[test]
    fn columns_line_up() {
        let rows =
            [["a", "1", "x", "y", "z", "n"], ["bbb", "1024", "xx", "yy", "zz", "m"]].map(|row| row.map(str::to_owned));
        assert_eq!(align(&rows), ["a       1  x   y   z   n", "bbb  1024  xx  yy  zz  m"]);
    }
}
