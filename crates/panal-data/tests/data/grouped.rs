//! Folders of groups of classes: names, order, and what is refused.

use std::sync::Arc;

use panal_data::{BadFiles, Cached, DataSource, ImageFolder, Subset};
use tempfile::{TempDir, tempdir};

use crate::shared::{Painted, write_png};

fn folder(names: &[&str]) -> TempDir {
    let root = tempdir().unwrap();
    for (seed, name) in names.iter().enumerate() {
        write_png(root.path(), name, seed);
    }
    root
}

#[test]
fn classes_carry_the_name_of_their_group() {
    let root = folder(&["Latin/b/1.png", "Greek/b/2.png", "Greek/a/3.png", "Greek/a/deep/4.png", "Latin/b/0.png"]);
    std::fs::write(root.path().join("Greek/notes.txt"), "").unwrap();
    std::fs::create_dir(root.path().join("Latin/.cache")).unwrap();
    let grouped = ImageFolder::open_grouped(root.path(), BadFiles::Error).unwrap();
    assert_eq!(grouped.classes(), ["Greek/a", "Greek/b", "Latin/b"]);
    assert_eq!(grouped.groups(), ["Greek", "Latin"]);
    assert_eq!([0, 1, 2, 3].map(|class| grouped.group(class)), [Some(0), Some(0), Some(1), None]);
    let ids: Vec<String> = (0..grouped.len()).map(|index| grouped.id(index)).collect();
    assert_eq!(ids, ["Greek/a/3.png", "Greek/a/deep/4.png", "Greek/b/2.png", "Latin/b/0.png", "Latin/b/1.png"]);
    assert_eq!(grouped.class_counts(), [2, 1, 2]);
    let excluded: Vec<&str> = grouped.excluded().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(excluded, ["Greek/notes.txt", "Latin/.cache"]);
    assert_eq!(grouped.excluded()[0].reason, "it lies beside the class folders, not in one");

    // What wraps a set keeps its groups; a set without groups has none.
    let grouped: Arc<dyn DataSource> = Arc::new(grouped);
    for wrapped in [
        Arc::new(Cached::new(Arc::clone(&grouped), 0)) as Arc<dyn DataSource>,
        Arc::new(Subset::new(Arc::clone(&grouped), vec![4]).unwrap()),
    ] {
        assert_eq!((wrapped.groups(), wrapped.group(2)), (grouped.groups(), Some(1)));
    }
    let plain = ImageFolder::open(root.path(), BadFiles::Error).unwrap();
    assert_eq!((plain.classes().len(), plain.groups().len(), plain.group(0)), (2, 0, None));
    assert_eq!((Painted::new(3).groups().len(), Painted::new(3).group(0)), (0, None));
}

#[test]
fn groups_without_classes_are_refused() {
    let refusal = |root: &TempDir| {
        let error = ImageFolder::open_grouped(root.path(), BadFiles::Error).map(drop).unwrap_err();
        error.to_string().replace(&root.path().display().to_string(), "ROOT")
    };
    assert_eq!(
        refusal(&folder(&["ants/1.png", "bees/2.png", "Greek/a/3.png"])),
        "ROOT has groups without a single class folder: ants, bees (each group holds one folder of images per class; \
         images that lie in one folder per class have no groups)"
    );
    assert_eq!(
        refusal(&folder(&["1.png"])),
        "ROOT has no folders in it, but 1 images directly in it: one folder of class folders per group is expected"
    );
    let empty_class = folder(&["Greek/a/3.png"]);
    std::fs::create_dir(empty_class.path().join("Greek/b")).unwrap();
    assert!(refusal(&empty_class).contains("has a class without a single usable image: Greek/b"));
}
