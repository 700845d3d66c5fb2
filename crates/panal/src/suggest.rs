//! "Did you mean": the nearest known word to one that is not known.

/// ` (did you mean `x`?)`, where a known word is near enough; empty otherwise.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!(" (did you mean `{candidate}`?)"))
        .unwrap_or_default()
}

/// The same from serde's own message, "unknown field `x`, expected one of `y`, `z`"; empty for other messages.
pub(crate) fn from_message(message: &str) -> String {
    if !message.starts_with("unknown ") {
        return String::new();
    }
    let mut words = message.split('`').skip(1).step_by(2);
    match words.next() {
        Some(word) => nearest(word, words),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_mended_and_a_stranger_is_not() {
        assert_eq!(
            from_message("unknown field `epoch`, expected one of `epochs`, `train`"),
            " (did you mean `epochs`?)"
        );
        assert_eq!(from_message("unknown field `banana`, expected one of `epochs`, `train`"), "");
        assert_eq!(from_message("invalid type: string \"x\", expected f64"), "");
        assert_eq!(nearest("resnet81", ["resnet18", "mobilenet_v2"].into_iter()), " (did you mean `resnet18`?)");
    }
}
