//! `et list`: files, newest first; a table for people, tab-separated lines for programs.

use clap::Args;
use etransfer_client::{FileInfo, FileStatus, Wanted};

use crate::args::{OutputArgs, RemoteArgs};
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
    /// Also files of the server's other surfaces, with the surface of each
    #[arg(long)]
    all_surfaces: bool,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints one page.
pub fn run(args: &ListArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output);
    let client = remote::client(&args.remote, &Home::of_user(), printer)?;
    let status = args.complete.then_some(FileStatus::Complete);
    let list = client.list(args.page, args.size, Wanted { status, all_surfaces: args.all_surfaces })?;
    if printer.is_json() {
        return Ok(printer.json(&list)?);
    }
    if !printer.is_for_person() {
        for file in &list.files {
            printer.data(row(file, args.all_surfaces, |bytes| bytes.to_string()).join("\t"))?;
        }
        return Ok(());
    }
    let mut heads = vec!["ID", "SIZE", "STATE", "RETENTION", "UPDATED", "SURFACE", "NAME"];
    heads.retain(|head| args.all_surfaces || *head != "SURFACE");
    let mut rows = vec![heads.into_iter().map(str::to_owned).collect()];
    rows.extend(list.files.iter().map(|file| row(file, args.all_surfaces, human::size)));
    for line in align(&rows) {
        printer.data(line)?;
    }
    if list.total > list.files.len() as u64 {
        printer.note(format_args!("{} of {} files; --page {} shows more", list.files.len(), list.total, args.page + 1));
    }
    Ok(())
}

/// The cells of a file; its surface before the name when `with_surface`.
fn row(file: &FileInfo, with_surface: bool, size: impl Fn(u64) -> String) -> Vec<String> {
    let total = file.size.map_or_else(|| "?".to_owned(), size);
    let state = match file.status {
        FileStatus::Complete => "complete".to_owned(),
        FileStatus::Partial => format!("{}%", human::percent(file.uploaded_size, file.size.unwrap_or(u64::MAX))),
    };
    let retention = file.metadata.retention.as_deref().unwrap_or("-");
    let updated: String = file.updated_at.as_deref().unwrap_or("-").chars().take("2026-11-20T12:19:03".len()).collect();
    // A server that knows of no surfaces has one.
    let surface = with_surface.then(|| file.surface.as_deref().unwrap_or("-"));
    let before = [file.file_id.as_str(), &total, &state, retention, &updated];
    before.into_iter().chain(surface).chain([file.filename.as_str()]).map(human::visible).collect()
}

/// Columns as wide as their widest cell; numbers (the second) to the right, the last as long as it is.
fn align(rows: &[Vec<String>]) -> Vec<String> {
    const NUMBERS: usize = 1;
    let last = rows.first().map_or(0, |row| row.len() - 1);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..last).map(width).chain([0]).collect();
    let cell = |(column, text): (usize, &String)| {
        let width = widths[column];
        if column == NUMBERS { format!("{text:>width$}") } else { format!("{text:width$}") }
    };
    rows.iter().map(|row| row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ")).collect()
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
        assert_eq!(row(&file, false, human::size), expected);
        let with_surface = FileInfo { surface: Some("cloudbackend\n".into()), ..file };
        assert_eq!(row(&with_surface, true, human::size)[5..], ["cloudbackend\u{fffd}", expected[5]]);
    }

    #[test]
    fn columns_line_up() {
        let rows = [["a", "1", "x", "y", "z", "n"], ["bbb", "1024", "xx", "yy", "zz", "m"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(align(&rows), ["a       1  x   y   z   n", "bbb  1024  xx  yy  zz  m"]);
    }
}
