//! Answers that are kept because asking again is slow, and not for ever: a controller runs for years, and images come and go.

use std::collections::HashMap;

/// Most answers of one kind.
const MOST: usize = 1024;

/// Keeps one. A full memory begins anew: whoever needs one that was in it asks again.
pub(crate) fn keep<V>(all: &mut HashMap<String, V>, key: String, value: V) {
    if all.len() >= MOST && !all.contains_key(&key) {
        all.clear();
    }
    all.insert(key, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_does_not_grow_for_ever() {
        let mut all = HashMap::new();
        for n in 0..10 * MOST {
            keep(&mut all, n.to_string(), n);
            assert!(all.len() <= MOST);
            assert_eq!(all.get(&n.to_string()), Some(&n));
        }
    }
}
