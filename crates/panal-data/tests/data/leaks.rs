//! What two sets have in common is found, and nothing else.

use std::path::Path;
use std::sync::Arc;

use panal_data::{BadFiles, DataSource, ImageFolder, Leaks, SharedImage, SharedName, Subset, leaks};
use tempfile::tempdir;

use crate::shared::{Painted, unpacked, write_png};

fn grouped(root: &Path) -> ImageFolder {
    ImageFolder::open_grouped(root, BadFiles::Error).unwrap()
}

fn shared(name: &str, train: usize, test: usize, same: usize) -> SharedName {
    SharedName { name: name.to_owned(), train, test, same }
}

#[test]
fn images_classes_and_groups_in_both_are_named() {
    let (train, test) = (tempdir().unwrap(), tempdir().unwrap());
    for (name, seed) in [("Greek/a/1.png", 1), ("Greek/b/2.png", 2), ("Latin/a/3.png", 3), ("Latin/a/4.png", 4)] {
        write_png(train.path(), name, seed);
    }
    // The same bytes under another name; the same class with an image of its own; a group of which only the name is shared.
    for (name, seed) in [("Korean/x/9.png", 3), ("Latin/a/3.png", 3), ("Latin/a/5.png", 5), ("Greek/c/6.png", 6)] {
        write_png(test.path(), name, seed);
    }
    let found = leaks(&grouped(train.path()), &grouped(test.path())).unwrap();
    let image = |test: &str| SharedImage { train: "Latin/a/3.png".to_owned(), test: test.to_owned() };
    assert_eq!(
        found,
        Leaks {
            images: vec![image("Korean/x/9.png"), image("Latin/a/3.png")],
            classes: vec![shared("Latin/a", 2, 2, 1)],
            groups: vec![shared("Greek", 2, 1, 0), shared("Latin", 2, 2, 1)],
        }
    );
    assert_eq!(
        found.to_string(),
        "the group Greek is in both sets: 2 and 1 images, 0 of them byte for byte the same\n\
         the group Latin is in both sets: 2 and 2 images, 1 of them byte for byte the same\n\
         2 of the images to judge by are also images to learn from"
    );
    assert!(!found.is_empty() && found.groups.iter().all(|group| !group.is_identical()));
}

#[test]
fn a_set_shares_all_with_itself_and_its_parts_share_no_image() {
    let whole: Arc<dyn DataSource> = Arc::new(Painted::new(9));
    let all = leaks(whole.as_ref(), whole.as_ref()).unwrap();
    assert_eq!((all.images.len(), all.groups.len()), (9, 0));
    assert!(all.classes.len() == 3 && all.classes.iter().all(SharedName::is_identical));
    assert!(all.to_string().starts_with("the class ants is in both sets, byte for byte: 3 images\n"), "{all}");
    let part = |indices: &[usize]| Subset::new(Arc::clone(&whole), indices.to_vec()).unwrap();
    let split = leaks(&part(&[0, 1, 2]), &part(&[3, 4])).unwrap();
    assert_eq!(split.classes, [shared("ants", 1, 1, 0), shared("bees", 1, 1, 0)]);
    assert!(split.images.is_empty());
    // Classes of which a part has no image are not in it.
    let apart = leaks(&part(&[0, 3]), &part(&[1, 2])).unwrap();
    assert!(apart.is_empty());
    assert_eq!(apart.to_string(), "the two sets have no image, class or group in common");
}

#[test]
fn omniglots_small_sets_share_greek_and_latin() {
    let (Some(first), Some(second)) =
        (unpacked("images_background_small1.zip"), unpacked("images_background_small2.zip"))
    else {
        return;
    };
    let found = leaks(
        &grouped(&first.path().join("images_background_small1")),
        &grouped(&second.path().join("images_background_small2")),
    )
    .unwrap();
    assert_eq!(found.groups, [shared("Greek", 480, 480, 480), shared("Latin", 520, 520, 520)]);
    assert!(found.groups.iter().all(SharedName::is_identical));
    assert_eq!((found.classes.len(), found.images.len()), (24 + 26, 480 + 520));
    assert!(found.classes.iter().all(SharedName::is_identical));
    assert_eq!(
        found.to_string(),
        "the group Greek is in both sets, byte for byte: 480 images\n\
         the group Latin is in both sets, byte for byte: 520 images\n\
         1000 of the images to judge by are also images to learn from"
    );
}
