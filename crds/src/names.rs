//! Names that people get nearly right.

use std::collections::BTreeSet;

/// Most candidates that a name is compared with: whoever has thousands of names and mistypes thousands gets an answer all the same.
const COMPARED: usize = 128;

/// The candidate that was probably meant, if one is near: at most a third of the characters differ.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    near(name, candidates).min().map(|it| it.1)
}

/// The candidate that is near, if no other one is.
pub(crate) fn only_near<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let mut all = near(name, candidates);
    all.next().filter(|_| all.next().is_none()).map(|it| it.1)
}

/// The candidates that are near, with how many characters differ.
fn near<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> impl Iterator<Item = (usize, &'a str)> {
    let name: Vec<char> = name.chars().take(MAX).collect();
    let limit = (name.len() / 3).max(1);
    let length = name.len();
    // One with more characters more or less cannot be near.
    let as_long = move |it: &&str| {
        let other = it.chars().take(MAX).count();
        other.abs_diff(length) <= limit
    };
    let all = candidates.into_iter().filter(as_long).take(COMPARED);
    all.map(move |it| {
        let other: Vec<char> = it.chars().take(MAX).collect();
        (distance(&name, &other), it)
    })
    .filter(move |it| it.0 <= limit)
}

/// A part of a name in the built-in store: 1 to 128 letters, digits, `.`, `_` and `-`, neither `.` nor `..`.
pub fn is_local(part: &str) -> bool {
    (1..=128).contains(&part.len())
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && part != "."
        && part != ".."
}

/// "did you mean `x`?", or what there is to choose from.
pub(crate) fn suggest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    if let Some(near) = nearest(name, candidates.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let (mut count, mut first) = (0, BTreeSet::new());
    for it in candidates {
        count += 1;
        first.insert(it);
        if first.len() > SHOWN {
            first.pop_last();
        }
    }
    let list = first.into_iter().collect::<Vec<_>>().join(", ");
    match count {
        0 => None,
        n if n <= SHOWN => Some(format!("there is {list}")),
        n => Some(format!("there are {n} others: {list}, …")),
    }
}

/// Characters of a name that are compared.
const MAX: usize = 64;
/// Most names that are listed.
const SHOWN: usize = 16;

/// Insertions, removals, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        best = best.min(rows[i - 2][j - 2] + 1);
                    }
                    best
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let all = ["db_password", "stripe_key", "tls", "on_change"];
        for (name, expected) in [
            ("db_pasword", Some("db_password")),
            ("db-password", Some("db_password")),
            ("onchange", Some("on_change")),
            ("lts", Some("tls")),
            ("smtp", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, all), expected, "{name}");
        }
        assert_eq!(
            suggest("smtp", all).unwrap(),
            "there is db_password, on_change, stripe_key, tls"
        );
        assert_eq!(suggest("x", []), None);
        assert_eq!(only_near("db_pasword", all), Some("db_password"));
        assert_eq!(only_near("db1", ["db2", "db3"]), None);
    }
}
