use proptest::prelude::*;

use super::*;

fn table(rows: &[[&str; 4]]) -> Table {
    let mut table = Table::new(&[
        ("ID", Align::Right, Fit::Keep),
        ("Project", Align::Left, Fit::Cut),
        ("Due", Align::Left, Fit::Keep),
        ("Description", Align::Left, Fit::Wrap),
    ]);
    for row in rows {
        table.push(*row);
    }
    table
}

#[test]
fn columns_are_padded_and_empty_ones_left_out() {
    let table = table(&[["1", "home", "", "buy milk"], ["10", "", "", "世界 größer"]]);
    let expected = "\
ID Project Description
 1 home    buy milk
10         世界 größer
";
    assert_eq!(table.render(None, Style::Plain), expected);
    assert_eq!((table.row_count(), table.get(1, 0), table.get(0, 3)), (2, "10", "buy milk"));
    assert_eq!((table.get(2, 0), table.get(0, 2), table.get(0, 4)), ("", "", ""));
}

#[test]
fn the_header_is_bold_where_colour_is_on() {
    let text = table(&[["1", "a", "b", "c"]]).render(None, Style::Colour);
    assert_eq!(text, "\u{1b}[1mID Project Due Description\u{1b}[0m\n 1 a       b   c\n");
}

#[test]
fn nothing_is_shown_for_nothing() {
    assert_eq!(table(&[]).render(None, Style::Colour), "");
    assert_eq!(Table::default().render(Some(10), Style::Plain), "");
}

#[test]
fn long_lines_wrap_and_are_cut_when_there_is_a_width() {
    let rows = [["1", "household.garden.shed", "3d", "one two three four five six seven"]];
    let expected = "\
ID Project       Due Description
 1 household.ga… 3d  one two three four
                     five six seven
";
    assert_eq!(table(&rows).render(Some(41), Style::Plain), expected);
    // Without a width nothing is ever cut: a pipe gets it all.
    assert!(
        table(&rows)
            .render(None, Style::Plain)
            .contains("household.garden.shed 3d  one two three four five six seven")
    );
    // With hardly any, it stays readable rather than narrow.
    assert!(table(&rows).render(Some(1), Style::Plain).contains("house… 3d  one two three four\n"));
}

#[test]
fn words_without_blanks_are_broken() {
    let parts: Vec<_> = wrap("abcdefgh ij 世界世界", 5).collect();
    assert_eq!(parts, ["abcde", "fgh", "ij", "世界", "世界"]);
    assert_eq!(wrap("世", 1).collect::<Vec<_>>(), ["世"]);
    assert_eq!(cut("世界世界", 4), "世 …");
}

#[test]
fn stored_text_cannot_drive_the_terminal() {
    let text = table(&[["1", "", "", "a\u{1b}]0;owned\u{7}\nb"]]).render(Some(80), Style::Plain);
    assert_eq!(text, "ID Description\n 1 a\\u{1b}]0;owned\\u{7}\\nb\n");
}

/// Goal: ten thousand rows are laid out in a few milliseconds. The bound is generous because tests
/// run unoptimised on shared machines; what it guards against is quadratic work.
#[test]
fn ten_thousand_rows_are_laid_out_at_once() {
    let rows = vec![["12345", "home.garden", "2w", "something to be done by somebody"]; 10_000];
    let table = table(&rows);
    let text = table.render(Some(60), Style::Plain);
    assert_eq!(text.lines().count(), 10_001);
}

proptest! {
    #[test]
    fn nothing_panics_and_lines_fit(
        rows in prop::collection::vec(["\\PC{0,4}", "\\PC{0,30}", "\\PC{0,4}", "(\\PC{0,9} ){0,9}"], 0..4),
        width_max in prop::option::of(0..90usize),
    ) {
        let mut table = table(&[]);
        for row in rows {
            table.push(row);
        }
        let text = table.render(width_max, Style::Plain);
        for line in text.lines() {
            prop_assert!(width_max.is_none_or(|max| max < 60 || width(line) <= max), "{line}");
        }
    }
}
