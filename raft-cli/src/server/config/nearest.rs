//! The name that somebody may have meant. It knows nothing of settings.

/// So many letters may be wrong in a name: more, and a suggestion is but a guess.
const DISTANCE_MAX: usize = 4;

/// Which of these is nearest to what was written, if any is near at all.
pub(super) fn nearest<'a>(
    written: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Half of a short name may not be wrong, or `on` would be near to `name`.
    let most = DISTANCE_MAX.min(written.chars().count() / 2);
    let distances = names
        .into_iter()
        .map(|name| (distance(written, name), name));
    let (distance, name) = distances.min()?;
    (distance <= most).then_some(name)
}

/// ` (did you mean `x`?)`, or nothing.
pub(super) fn suggestion<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(written, names).map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

/// How many letters are to be put in, taken out, changed, or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    // The rows of the table of distances between beginnings: the one before the last, the last.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, wanted) in other.iter().enumerate() {
            let changed = last[j] + usize::from(letter != wanted);
            let mut least = changed.min(last[j + 1] + 1).min(row[j] + 1);
            let is_swapped = i > 0 && j > 0 && *letter == other[j - 1] && one[i - 1] == *wanted;
            if is_swapped {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = last;
        last = row;
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_unless_none_is_near() {
        let names = ["name", "data-dir", "listen-client-urls", "listen-peer-urls"];
        let check = |written, expected| assert_eq!(nearest(written, names), expected, "{written}");
        check("name", Some("name"));
        check("naem", Some("name"));
        check("datadir", Some("data-dir"));
        check("data_dir", Some("data-dir"));
        check("listen-client-url", Some("listen-client-urls"));
        check("listen-peers-url", Some("listen-peer-urls"));
        check("on", None);
        check("colour-of-the-sky", None);
        check("", None);
    }

    #[test]
    fn a_suggestion_is_a_question_or_nothing() {
        assert_eq!(suggestion("nane", ["name"]), " (did you mean `name`?)");
        assert_eq!(suggestion("sky", ["name"]), "");
    }

    #[test]
    fn a_distance_counts_each_slip_once() {
        let check = |one, other, expected| assert_eq!(distance(one, other), expected, "{one}");
        check("same", "same", 0);
        check("smae", "same", 1);
        check("sme", "same", 1);
        check("samme", "same", 1);
        check("sane", "same", 1);
        check("", "same", 4);
        check("same", "", 4);
    }
}
