//! What did they mean? The nearest known name to one that is not known.

/// The known key nearest to `asked`, if any is near enough to be worth a question. A right name in the wrong section
/// counts as near.
pub fn key<'a>(asked: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let asked = plain(asked);
    known
        .filter_map(|candidate| {
            let cost = distance(&asked, candidate).min(distance(leaf(&asked), leaf(candidate)) + 1);
            (cost <= allowed(leaf(candidate))).then_some((cost, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// The known word nearest to `asked`, by the same measure.
pub fn word<'a>(asked: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let asked = plain(asked);
    known
        .map(|candidate| (distance(&asked, candidate), candidate))
        .filter(|(cost, candidate)| *cost <= allowed(candidate))
        .min()
        .map(|(_, candidate)| candidate)
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

fn leaf(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn allowed(name: &str) -> usize {
    (name.len() / 3).max(2)
}

/// The number of letters to insert, remove or replace to make one word of the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = corner + usize::from(a != *b);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}
