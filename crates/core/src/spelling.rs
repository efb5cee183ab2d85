//! How far a word is from another, to name what was probably meant.

/// The number of single characters to insert, remove, replace, or swap with their neighbour, to
/// turn one word into the other (optimal string alignment). Words are cut at 60 characters.
pub fn edit_distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().take(60).collect();
    let to: Vec<char> = to.chars().take(60).collect();
    let mut before_previous: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in to.iter().enumerate() {
            let replaced = previous[column] + usize::from(a != b);
            let mut best = replaced.min(previous[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *a == to[column - 1] && from[row - 1] == *b {
                best = best.min(before_previous[column - 1] + 1);
            }
            current.push(best);
        }
        before_previous = std::mem::replace(&mut previous, current);
    }
    previous[to.len()]
}

/// The one of some known words that a mistyped one was probably meant to be: a slip away, in long
/// words one slip for three letters. A guess from further away would only mislead.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|known| (edit_distance(word, known), known));
    let (distance, known) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (known.len() / 3).max(1)).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_guessed() {
        let known = ["log", "list", "force", "snapshot_days"];
        for (word, meant) in [
            ("forse", Some("force")),
            ("lst", Some("list")),
            ("days", None),
            ("snapshots_day", Some("snapshot_days")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn distance_counts_a_swap_as_one() {
        for (from, to, distance) in
            [("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(edit_distance(from, to), distance, "{from} {to}");
            assert_eq!(edit_distance(to, from), distance, "{to} {from}");
        }
    }
}
