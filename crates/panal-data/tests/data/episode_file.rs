//! The file of a list of episodes: what comes back, and every kind of file that is refused.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use panal_data::{BadFiles, DataError, DataSource, Episode, EpisodeList, EpisodeSpec, Episodes, ImageFolder, Within};
use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use crate::episodes::Alphabets;
use crate::shared::{picture, write_png};

fn list(source: &dyn DataSource) -> EpisodeList {
    let spec = EpisodeSpec { within: Within::Group, rotations: true, ..EpisodeSpec::fixed(3, 1, 2) };
    Episodes::new(source, spec, u64::MAX).unwrap().list(5).unwrap()
}

/// A list of five episodes of `source`, written.
fn written(source: &dyn DataSource) -> (TempDir, std::path::PathBuf, EpisodeList) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("episodes.jsonl");
    let list = list(source);
    list.write(&path, source).unwrap();
    (folder, path, list)
}

fn said(path: &Path, source: &dyn DataSource) -> String {
    let error = EpisodeList::read(path, source).map(drop).unwrap_err();
    error.to_string().replace(&path.display().to_string(), "FILE")
}

#[test]
fn a_list_comes_back() {
    let source = Alphabets::new(&[&[8, 8, 8, 8], &[9, 9, 9]]);
    let (folder, path, list) = written(&source);
    assert_eq!(EpisodeList::read(&path, &source).unwrap(), list);
    // In the place of another, with nothing left beside it.
    list.write(&path, &source).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 6);
    assert!(
        text.starts_with("{\"format\":\"panal episodes 1\",\"source\":\"alphabets\",\"seed\":18446744073709551615,")
    );
}

#[test]
fn places_in_the_data_may_change_but_not_contents() {
    let folder = tempdir().unwrap();
    for (seed, name) in (0..).zip(["a/1.png", "a/2.png", "a/3.png", "b/1.png", "b/2.png", "b/3.png"]) {
        write_png(folder.path(), name, seed);
    }
    let open = || ImageFolder::open(folder.path(), BadFiles::Error).unwrap();
    let before = open();
    let path = folder.path().join("list.jsonl");
    let list = Episodes::new(&before, EpisodeSpec::fixed(2, 1, 2), 1).unwrap().list(3).unwrap();
    list.write(&path, &before).unwrap();
    // Another class before all others moves every label and index.
    write_png(folder.path(), "Z/1.png", 9);
    let after = open();
    let moved = EpisodeList::read(&path, &after).unwrap();
    for (before_it, after_it) in
        list.episodes.iter().flat_map(Episode::items).zip(moved.episodes.iter().flat_map(Episode::items))
    {
        assert_eq!(before.id(before_it.image), after.id(after_it.image));
        assert_eq!((before_it.image + 1, before_it.label), (after_it.image, after_it.label));
    }

    picture(5, 5, 77).save(folder.path().join("a/3.png")).unwrap();
    picture(5, 5, 78).save(folder.path().join("b/1.png")).unwrap();
    let told = said(&path, &open());
    assert!(told.starts_with("FILE, line 1: the image a/3.png has the SHA-256 "), "{told}");
    assert!(told.ends_with(" when the list was written"), "{told}");
    fs::remove_file(folder.path().join("a/2.png")).unwrap();
    let told = said(&path, &open());
    assert!(told.starts_with("FILE, line 1: the image a/2.png is not in "), "{told}");
}

#[test]
fn what_cannot_be_written_is_told() {
    let source = Alphabets::new(&[&[8, 8, 8]]);
    let mut list = list(&source);
    let nowhere = list.write(Path::new("no such folder/list.jsonl"), &source).unwrap_err();
    assert!(matches!(&nowhere, DataError::Write { .. }));
    assert!(nowhere.to_string().starts_with("cannot write no such folder/list.jsonl: "), "{nowhere}");
    list.episodes[2].query.clear();
    let error = list.write(Path::new("never.jsonl"), &source).unwrap_err().to_string();
    assert_eq!(error, "episode 2 has no query");
}

#[test]
fn hostile_files_are_refused_with_a_line() {
    let source = Alphabets::new(&[&[8, 8, 8, 8], &[9, 9, 9]]);
    let (_folder, path, _) = written(&source);
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let header: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    let told_of = |text: &str| {
        fs::write(&path, text).unwrap();
        said(&path, &source)
    };
    let with_header = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut header = header.clone();
        change(&mut header);
        told_of(&[&[header.to_string().as_str()], &lines[1..]].concat().join("\n"))
    };
    let with_line = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut line: serde_json::Value = serde_json::from_str(lines[2]).unwrap();
        change(&mut line);
        told_of(&[&lines[..2], &[line.to_string().as_str()], &lines[3..]].concat().join("\n"))
    };

    assert_eq!(told_of(""), "FILE, line 1: the file is empty");
    assert!(told_of("hello\n").starts_with("FILE, line 1: this is no beginning of a list of episodes: "));
    assert_eq!(
        with_header(&|header| header["format"] = "panal episodes 2".into()),
        "FILE, line 1: the format must be `panal episodes 1`, got `panal episodes 2`"
    );
    assert!(with_header(&|header| header["sed"] = 1.into()).contains("unknown field `sed`"));
    assert!(with_header(&|header| header["seed"] = (-1).into()).starts_with("FILE, line 1: this is no beginning"));
    assert_eq!(
        with_header(&|header| header["images"][1][0] = "alphabet0/../x\n.png".into()),
        "FILE, line 1: the image alphabet0/../x\\n.png is not in alphabets"
    );
    assert_eq!(
        with_header(&|header| header["classes"][0] = "alphabet7/0".into()),
        "FILE, line 1: the class alphabet7/0 is not in alphabets"
    );
    let id = header["images"][2][0].as_str().unwrap().to_owned();
    let digest = header["images"][2][1].as_str().unwrap().to_owned();
    assert_eq!(
        with_header(&|header| header["images"][2][1] = "00".into()),
        format!("FILE, line 1: the image {id} has the SHA-256 {digest}, but had 00 when the list was written")
    );
    for announced in [0_u64, 4, 6, u64::MAX] {
        assert!(
            with_header(&|header| header["episodes"] = announced.into())
                .ends_with(&format!(": the list ends after 5 episodes, and {announced} are announced"))
        );
    }

    assert_eq!(
        with_line(&|line| line["ways"][0][0] = 99.into()),
        "FILE, line 3: episode 1 names class 99, which line 1 does not list"
    );
    assert!(with_line(&|line| line["ways"][0][1] = 45.into()).contains("rotation must be 0, 90, 180 or 270, got 45"));
    assert_eq!(
        with_line(&|line| line["query"][0][0] = 99.into()),
        "FILE, line 3: episode 1 names image 99, which line 1 does not list"
    );
    assert!(with_line(&|line| line["query"][0][1] = 3.into()).ends_with("the label 3, but has 3 classes"));
    assert!(with_line(&|line| line["query"][0] = line["query"][1].clone()).ends_with(" twice"));
    assert!(with_line(&|line| line["query"][0] = line["support"][0].clone()).ends_with(" twice"));
    assert!(with_line(&|line| line["support"] = serde_json::json!([])).contains(" has no support image of "));
    assert_eq!(with_line(&|line| line["query"] = serde_json::json!([])), "FILE, line 3: episode 1 has no query");

    // A whole line is missing, half a line is, or bytes that are no text came in between.
    assert_eq!(told_of(&lines[..4].join("\n")), "FILE, line 4: the list ends after 3 episodes, and 5 are announced");
    let half = told_of(&whole[..whole.len() - 20]);
    assert!(half.starts_with("FILE, line 6: this is no episode: EOF while parsing"), "{half}");
    fs::write(&path, b"\xff\xfe").unwrap();
    assert!(said(&path, &source).starts_with("cannot read FILE: "));
    assert!(said(Path::new("not/there"), &source).starts_with("cannot read FILE: "));
}

/// A set, and the file of a list of it.
static ONE_ALPHABET: LazyLock<(Alphabets, Vec<u8>)> = LazyLock::new(|| {
    let source = Alphabets::new(&[&[8, 8, 8, 8]]);
    let (_folder, path, _) = written(&source);
    let whole = fs::read(&path).unwrap();
    (source, whole)
});

proptest! {
    #[test]
    fn a_file_cut_short_anywhere_is_refused(cut in any::<prop::sample::Index>()) {
        let (source, whole) = &*ONE_ALPHABET;
        let folder = tempdir().unwrap();
        let path = folder.path().join("list");
        // Without its last line break it still is whole.
        fs::write(&path, &whole[..cut.index(whole.len() - 1)]).unwrap();
        let told = said(&path, source);
        prop_assert!(told.starts_with("FILE, line "), "{}", told);
    }

    #[test]
    fn mutated_files_are_survived(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let (source, whole) = &*ONE_ALPHABET;
        let folder = tempdir().unwrap();
        let path = folder.path().join("list");
        let mut bytes = whole.clone();
        for (place, value) in changes {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        fs::write(&path, bytes).unwrap();
        if let Ok(list) = EpisodeList::read(&path, source) {
            prop_assert!(list.episodes.iter().all(|episode| episode.check(source).is_ok()));
        }
    }
}
