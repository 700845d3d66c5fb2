//! Omniglot as published, from the mirror, and the folders of one-shot runs that are refused.

use std::fs;
use std::path::Path;

use panal_data::{
    BadFiles, DataSource, EpisodeList, EpisodeSpec, Episodes, ImageFolder, OneShotRuns, Rotation, Within,
    omniglot_drawer,
};
use tempfile::{TempDir, tempdir};

use crate::shared::{unpacked, write_png};

#[test]
fn the_drawer_stands_in_the_name() {
    for (id, drawer) in [
        ("Greek/character05/0398_07.png", Some(7)),
        ("0398_20.png", Some(20)),
        ("run01/test/item01.png", None),
        ("Japanese_(katakana)/character01/x.png", None),
        ("a_1/b", None),
        ("a_+1.png", None),
        ("a_.png", None),
        ("", None),
    ] {
        assert_eq!(omniglot_drawer(id), drawer, "{id}");
    }
}

#[test]
fn the_small_background_sets_are_counted() {
    for (set, alphabets, characters) in [
        ("images_background_small1", ["Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"], [24, 22, 24, 40, 26]),
        (
            "images_background_small2",
            ["Greek", "Japanese_(katakana)", "Latin", "Sanskrit", "Tagalog"],
            [24, 47, 26, 42, 17],
        ),
    ] {
        let Some(folder) = unpacked(&format!("{set}.zip")) else { return };
        let images = ImageFolder::open_grouped(&folder.path().join(set), BadFiles::Error).unwrap();
        assert_eq!(images.groups(), alphabets);
        let of_group = |group| (0..images.classes().len()).filter(|&class| images.group(class) == Some(group)).count();
        assert_eq!([0, 1, 2, 3, 4].map(of_group), characters);
        assert!(images.class_counts().iter().all(|&count| count == 20) && images.excluded().is_empty());
        for index in 0..images.len() {
            assert_eq!(omniglot_drawer(&images.id(index)), Some(index as u32 % 20 + 1));
        }
        assert_eq!(images.image(0).unwrap().dimensions(), (105, 105));

        // 20-way 1-shot within an alphabet, and what the smallest alphabet allows.
        let spec = EpisodeSpec { within: Within::Group, ..EpisodeSpec::fixed(17, 1, 19) };
        let episode = Episodes::new(&images, spec, 0).unwrap().episode(0).unwrap();
        assert_eq!((episode.support.len(), episode.query.len()), (17, 17 * 19));
    }
}

#[test]
fn the_official_runs_are_episodes() {
    let Some(folder) = unpacked("all_runs.zip") else { return };
    let task = OneShotRuns::open(folder.path()).unwrap();
    assert_eq!((task.len(), task.classes().len(), task.groups().len(), task.runs().len()), (800, 400, 20, 20));
    assert_eq!((task.groups()[0].as_str(), task.groups()[19].as_str()), ("run01", "run20"));
    for (number, run) in task.runs().iter().enumerate() {
        run.check(&task).unwrap();
        assert_eq!(run.number, number as u64);
        assert_eq!((run.ways.len(), run.shots(), run.query.len()), (20, vec![1; 20], 20));
        assert!(run.items().all(|item| item.rotation == Rotation::None));
        // Each class once.
        let mut truth: Vec<usize> = run.query.iter().map(|item| item.label).collect();
        truth.sort_unstable();
        assert!(truth.into_iter().eq(0..20));
    }
    // As the first lines of run01/class_labels.txt say.
    let first = &task.runs()[0];
    assert_eq!((task.id(first.query[0].image).as_str(), first.query[0].label), ("run01/test/item01.png", 7));
    assert_eq!((task.id(first.query[1].image).as_str(), first.query[1].label), ("run01/test/item02.png", 8));
    assert_eq!(task.id(first.support[7].image), "run01/training/class08.png");
    assert_eq!(task.classes()[first.ways[7].class], "run01/class08");

    let path = folder.path().join("list.jsonl");
    let list = EpisodeList { source: "runs".to_owned(), seed: None, spec: None, episodes: task.runs().to_vec() };
    list.write(&path, &task).unwrap();
    assert_eq!(EpisodeList::read(&path, &task).unwrap(), list);
}

/// Two runs of two classes.
fn runs() -> TempDir {
    let root = tempdir().unwrap();
    for (seed, run) in ["run01", "run02"].into_iter().enumerate() {
        for (which, name) in
            ["training/class01", "training/class02", "test/item01", "test/item02"].into_iter().enumerate()
        {
            write_png(root.path(), &format!("{run}/{name}.png"), 4 * seed + which);
        }
        let labels = format!(
            "{run}/test/item01.png {run}/training/class02.png\n{run}/test/item02.png {run}/training/class01.png\n"
        );
        fs::write(root.path().join(run).join("class_labels.txt"), labels).unwrap();
    }
    root
}

fn said(root: &Path) -> String {
    let error = OneShotRuns::open(root).map(drop).unwrap_err().to_string();
    error.replace(&root.display().to_string(), "ROOT")
}

#[test]
fn runs_of_any_size_are_read() {
    let root = runs();
    fs::create_dir(root.path().join("notes")).unwrap();
    let task = OneShotRuns::open(root.path()).unwrap();
    assert_eq!(task.classes(), ["run01/class01", "run01/class02", "run02/class01", "run02/class02"]);
    let labels = task.runs().iter().map(|run| run.query.iter().map(|item| item.label).collect::<Vec<_>>());
    assert_eq!(labels.collect::<Vec<_>>(), [[1, 0], [1, 0]]);
    assert_eq!([0, 1, 2, 3].map(|class| task.group(class)), [Some(0), Some(0), Some(1), Some(1)]);
    assert_eq!(task.image(0).unwrap().height(), 7);
}

#[test]
fn runs_that_do_not_fit_together_are_refused() {
    let labels = |text: &str| {
        let root = runs();
        fs::write(root.path().join("run02/class_labels.txt"), text).unwrap();
        said(root.path())
    };
    assert_eq!(
        labels("run02/test/item01.png\n"),
        "ROOT/run02/class_labels.txt, line 1: a test image and the training image of its class are expected, got 1 words"
    );
    assert_eq!(
        labels("\nrun02/test/item03.png run02/training/class01.png\n"),
        "ROOT/run02/class_labels.txt, line 2: run02/test/item03.png is no image of run02/test/"
    );
    assert_eq!(
        labels("run02/test/item01.png run01/training/class01.png\n"),
        "ROOT/run02/class_labels.txt, line 1: run01/training/class01.png is no image of run02/training/"
    );
    assert_eq!(
        labels("run02/test/../../x.png run02/training/class01.png\n"),
        "ROOT/run02/class_labels.txt, line 1: run02/test/../../x.png is no image of run02/test/"
    );
    let pair = "run02/test/item01.png run02/training/class01.png\n";
    assert_eq!(labels(&pair.repeat(2)), "ROOT/run02/class_labels.txt, line 2: item01.png is named twice");
    assert_eq!(labels(pair), "ROOT/run02 has an image test/item02.png that no line of class_labels.txt names");

    let empty = tempdir().unwrap();
    assert_eq!(
        said(empty.path()),
        "ROOT holds no runs: folders with a class_labels.txt are expected, as in all_runs.zip"
    );
    let bare = runs();
    for class in ["class01.png", "class02.png"] {
        fs::remove_file(bare.path().join("run01/training").join(class)).unwrap();
    }
    assert_eq!(said(bare.path()), "ROOT/run01 has no images in its folder training");
    fs::remove_dir(bare.path().join("run01/training")).unwrap();
    assert!(said(bare.path()).starts_with("cannot read ROOT/run01/training: "));
    assert!(said(Path::new("not/there")).starts_with("cannot read ROOT: "));
}
