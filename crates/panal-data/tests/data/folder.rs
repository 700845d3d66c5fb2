//! ImageFolder: order, what is kept and what is not, and every kind of folder that is refused.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use panal_data::{BadFiles, Cached, DataError, DataSource, ImageFolder, Subset, UNLABELLED, is_image_name};
use tempfile::{TempDir, tempdir};

use crate::shared::{golden, write_png};

/// A folder with these images in it.
fn folder(names: &[&str]) -> TempDir {
    let root = tempdir().unwrap();
    for (seed, name) in names.iter().enumerate() {
        write_png(root.path(), name, seed);
    }
    root
}

fn ids(source: &dyn DataSource) -> Vec<String> {
    (0..source.len()).map(|index| source.id(index)).collect()
}

/// What opening says, with the temporary folder written as `ROOT`.
fn refusal(root: &Path, bad: BadFiles) -> String {
    let error = ImageFolder::open(root, bad).map(drop).unwrap_err();
    error.to_string().replace(&root.display().to_string(), "ROOT")
}

/// Loose images and those of any folder are one class, and what is no image is left out.
#[test]
fn unlabelled_images_lie_at_any_depth() {
    let root = folder(&["b.png", "ants/2.png", "ants/deep/1.png", "A.png", ".hidden/3.png"]);
    fs::write(root.path().join("notes.txt"), "no image").unwrap();
    let folder = ImageFolder::open_unlabelled(root.path(), BadFiles::Error).unwrap();
    assert_eq!(ids(&folder), ["A.png", "b.png", "ants/2.png", "ants/deep/1.png"]);
    assert_eq!(folder.classes(), [UNLABELLED]);
    assert!((0..folder.len()).all(|index| folder.label(index) == 0));
    let excluded: Vec<&str> = folder.excluded().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(excluded, [".hidden", "notes.txt"]);

    let empty = tempdir().unwrap();
    let said = ImageFolder::open_unlabelled(empty.path(), BadFiles::Error).map(drop).unwrap_err().to_string();
    assert!(said.contains("without a single usable image: unlabelled"), "{said}");
    fs::write(root.path().join("bad.png"), "no png").unwrap();
    let said = ImageFolder::open_unlabelled(root.path(), BadFiles::Error).map(drop).unwrap_err().to_string();
    assert!(said.contains("bad.png"), "{said}");
    assert_eq!(ImageFolder::open_unlabelled(root.path(), BadFiles::Skip).unwrap().len(), 4);
}

/// The header says it, for a file whose pixels are damaged too; a part and a cache say the same.
#[test]
fn the_size_of_an_image_is_known_without_its_pixels() {
    let root = folder(&["ants/0.png", "ants/1.png"]);
    let folder = Arc::new(ImageFolder::open(root.path(), BadFiles::Error).unwrap());
    let bytes = fs::read(folder.path(1)).unwrap();
    fs::write(folder.path(1), &bytes[..bytes.len() - 20]).unwrap();
    assert!(folder.image(1).is_err());
    let (part, cache) = (Subset::new(folder.clone(), vec![1]).unwrap(), Cached::new(folder.clone(), 1 << 20));
    assert_eq!((folder.size(0).unwrap(), folder.size(1).unwrap()), ((9, 7), (10, 7)));
    assert_eq!((part.size(0).unwrap(), cache.size(1).unwrap()), ((10, 7), (10, 7)));
    cache.image(0).unwrap();
    assert_eq!(cache.size(0).unwrap(), (9, 7));
    fs::write(folder.path(1), "no png").unwrap();
    assert!(matches!(folder.size(1), Err(DataError::Decode { .. })));
}

/// As Python sorts, capitals before small letters and folders as whole paths.
#[test]
fn classes_and_images_are_in_torchvisions_order() {
    let root = folder(&[
        "bees/b.png",
        "bees/a/z.png",
        "bees/a-b/y.png",
        "bees/B.png",
        "bees/a/c/x.png",
        "Ants/2.png",
        "Ants/10.png",
        "wasps/é.png",
        "wasps/z.png",
    ]);
    let folder = ImageFolder::open(root.path(), BadFiles::Error).unwrap();
    assert_eq!(folder.classes(), ["Ants", "bees", "wasps"]);
    assert_eq!(
        ids(&folder),
        [
            "Ants/10.png",
            "Ants/2.png",
            "bees/B.png",
            "bees/b.png",
            "bees/a/z.png",
            "bees/a-b/y.png",
            "bees/a/c/x.png",
            "wasps/z.png",
            "wasps/é.png",
        ]
    );
    assert_eq!((0..folder.len()).map(|index| folder.label(index)).collect::<Vec<_>>(), [0, 0, 1, 1, 1, 1, 1, 2, 2]);
    assert_eq!(folder.class_counts(), [2, 5, 2]);
    assert_eq!(folder.image(4).unwrap().dimensions(), (9 + 1, 7));
    assert_eq!(folder.path(4), root.path().join("bees/a/z.png"));
    assert_eq!(folder.name(), root.path().display().to_string());
    assert!(folder.excluded().is_empty());
}

#[test]
fn every_file_that_is_not_used_is_listed_with_a_reason() {
    let root =
        folder(&["ants/1.png", "bees/deep/2.PNG", "loose.png", "ants/.hidden.png", ".git/3.png", "bees/.cache/4.png"]);
    for name in ["ants/imageNotFound.gif", "ants/README", "bees/deep/notes.txt", "labels.csv"] {
        fs::write(root.path().join(name), "text").unwrap();
    }
    let folder = ImageFolder::open(root.path(), BadFiles::Error).unwrap();
    assert_eq!(ids(&folder), ["ants/1.png", "bees/deep/2.PNG"]);
    let accepted = ".jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp";
    let listed: Vec<String> = folder.excluded().iter().map(|file| format!("{}: {}", file.path, file.reason)).collect();
    assert_eq!(
        listed,
        [
            ".git: it is a hidden folder".to_owned(),
            "ants/.hidden.png: it is a hidden file".to_owned(),
            format!("ants/README: it has no extension, and is not one of {accepted}"),
            format!("ants/imageNotFound.gif: extension .gif is not one of {accepted}"),
            "bees/.cache: it is a hidden folder".to_owned(),
            format!("bees/deep/notes.txt: extension .txt is not one of {accepted}"),
            "labels.csv: it lies beside the class folders, not in one".to_owned(),
            "loose.png: it lies beside the class folders, not in one".to_owned(),
        ]
    );
}

#[test]
fn torchvisions_extensions_are_known_in_any_case() {
    for name in ["a.jpg", "a.JPEG", "b.Png", "x.y.ppm", "a.bmp", "a.pgm", "a.tif", "a.TIFF", "a.webp", ".jpg"] {
        assert!(is_image_name(name), "{name}");
    }
    for name in ["jpg", "a.gif", "a.jpg.txt", "a.jpg~", "", "a.", "a.jp g"] {
        assert!(!is_image_name(name), "{name}");
    }
}

#[test]
fn bad_files_are_all_named_or_left_out_and_listed() {
    let root = folder(&["ants/1.png", "ants/5.png", "bees/6.png"]);
    fs::write(root.path().join("ants/2.jpg"), "").unwrap();
    fs::write(root.path().join("ants/3.jpg"), &golden("jpeg-large.jpg")[..1200]).unwrap();
    let one = "the file is empty (0 bytes)";
    let two = "the JPEG ends after 1,200 of about 1,500 bytes";
    assert_eq!(
        refusal(root.path(), BadFiles::Error),
        format!("2 files cannot be decoded:\n  ROOT/ants/2.jpg: {one}\n  ROOT/ants/3.jpg: {two}")
    );

    let skipped = ImageFolder::open(root.path(), BadFiles::Skip).unwrap();
    assert_eq!(ids(&skipped), ["ants/1.png", "ants/5.png", "bees/6.png"]);
    let listed: Vec<(&str, &str)> =
        skipped.excluded().iter().map(|file| (file.path.as_str(), file.reason.as_str())).collect();
    assert_eq!(listed, [("ants/2.jpg", one), ("ants/3.jpg", two)]);
    assert!(skipped.verify().is_empty());

    let unchecked = ImageFolder::open(root.path(), BadFiles::Unchecked).unwrap();
    assert_eq!(unchecked.len(), 5);
    assert_eq!(unchecked.verify().len(), 2);
    assert!(matches!(unchecked.image(1), Err(DataError::Decode { reason, .. }) if reason == one));
    let decoded = AtomicUsize::new(0);
    let count = || _ = decoded.fetch_add(1, Ordering::Relaxed);
    assert_eq!(ids(&unchecked.checked(BadFiles::Skip, &count).unwrap()), ids(&skipped));
    assert_eq!(decoded.into_inner(), 5);

    fs::remove_file(root.path().join("ants/2.jpg")).unwrap();
    let error = ImageFolder::open(root.path(), BadFiles::Error).map(drop).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot decode {}: {two}", root.path().join("ants/3.jpg").display()));
    assert!(error.remedy().unwrap().contains("--skip-bad"));
}

#[test]
fn a_long_list_of_bad_files_is_cut() {
    let root = folder(&["ants/good.png"]);
    for number in 0..23 {
        fs::write(root.path().join(format!("ants/{number:02}.jpg")), "").unwrap();
    }
    let said = refusal(root.path(), BadFiles::Error);
    assert!(
        said.starts_with("23 files cannot be decoded:\n  ROOT/ants/00.jpg: ") && said.ends_with("\n  and 3 more"),
        "{said}"
    );
}

#[test]
fn folders_that_hold_no_classes_are_refused() {
    let root = folder(&["1.png", "2.png"]);
    assert_eq!(
        refusal(root.path(), BadFiles::Error),
        "ROOT has no folders in it, but 2 images directly in it: one folder of images per class is expected"
    );
    let file = root.path().join("1.png");
    assert_eq!(
        refusal(&file, BadFiles::Error),
        "ROOT is a file: the folder that holds one folder of images per class is expected"
    );
    assert_eq!(
        refusal(&root.path().join("nowhere"), BadFiles::Error),
        "ROOT is not there: the folder that holds one folder of images per class is expected"
    );
    let empty = tempdir().unwrap();
    assert_eq!(
        refusal(empty.path(), BadFiles::Skip),
        "ROOT has no folders in it: one folder of images per class is expected"
    );
}

#[test]
fn an_empty_class_is_refused_by_name() {
    let root = folder(&["ants/1.png"]);
    fs::create_dir(root.path().join("bees")).unwrap();
    let one = "ROOT has a class without a single usable image: bees (put images there, or remove the folder)";
    assert_eq!(refusal(root.path(), BadFiles::Error), one);
    // Also where the only image of a class had to be left out.
    fs::write(root.path().join("bees/1.jpg"), "").unwrap();
    assert_eq!(refusal(root.path(), BadFiles::Skip), one);
    fs::create_dir(root.path().join("wasps")).unwrap();
    assert_eq!(
        refusal(root.path(), BadFiles::Unchecked),
        "ROOT has a class without a single usable image: wasps (put images there, or remove the folder)"
    );
}

#[test]
fn one_class_is_not_enough_to_tell_apart() {
    let root = folder(&["ants/1.png"]);
    let folder = ImageFolder::open(root.path(), BadFiles::Error).unwrap();
    let said = folder.require_classes(2).unwrap_err().to_string();
    assert_eq!(
        said.replace(&root.path().display().to_string(), "ROOT"),
        "ROOT has 1 class only (ants), and at least 2 are needed: put a folder of images of another class beside it"
    );
    assert!(folder.require_classes(1).is_ok());
}

#[test]
fn the_digest_is_of_ids_labels_and_contents() {
    let root = folder(&["ants/1.png", "bees/2.png", "bees/3.png"]);
    let digest = |bad| ImageFolder::open(root.path(), bad).unwrap().digest().unwrap();
    let before = digest(BadFiles::Error);
    assert_eq!(before.len(), 64);
    assert_eq!(before, digest(BadFiles::Unchecked), "whether or not the files were read at the start");
    fs::write(root.path().join("bees/notes.txt"), "not an image").unwrap();
    assert_eq!(before, digest(BadFiles::Error), "a file that is not used does not count");
    fs::rename(root.path().join("bees/2.png"), root.path().join("bees/0.png")).unwrap();
    let renamed = digest(BadFiles::Error);
    write_png(root.path(), "bees/0.png", 7);
    let changed = digest(BadFiles::Error);
    assert!(before != renamed && renamed != changed && before != changed);
}

#[test]
fn a_subset_is_a_source_of_its_own() {
    let root = folder(&["ants/1.png", "bees/2.png", "bees/3.png"]);
    let whole: Arc<dyn DataSource> = Arc::new(ImageFolder::open(root.path(), BadFiles::Error).unwrap());
    let part = Subset::new(whole.clone(), vec![2, 0]).unwrap();
    assert_eq!(ids(&part), ["bees/3.png", "ants/1.png"]);
    assert_eq!((part.label(0), part.label(1), part.class_counts()), (1, 0, vec![1, 1]));
    assert_eq!(part.image(0).unwrap(), whole.image(2).unwrap());
    let all = Subset::new(whole.clone(), vec![0, 1, 2]).unwrap();
    assert_eq!(all.digest().unwrap(), whole.digest().unwrap());
    assert_ne!(part.digest().unwrap(), Subset::new(whole.clone(), vec![0, 2]).unwrap().digest().unwrap());
    let refused = |indices| Subset::new(whole.clone(), indices).map(drop).unwrap_err().to_string();
    assert_eq!(refused(vec![0, 3]), "a subset's index must be < 3, got 3");
    assert_eq!(refused(vec![1, 0, 1]), "a subset's index must be given once, got 1 twice");
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed() {
        let root = folder(&["ants/1.png"]);
        let elsewhere = folder(&["deep/2.png", "3.png"]);
        symlink(elsewhere.path(), root.path().join("bees")).unwrap();
        symlink(elsewhere.path().join("3.png"), root.path().join("ants/link.png")).unwrap();
        let folder = ImageFolder::open(root.path(), BadFiles::Error).unwrap();
        assert_eq!(ids(&folder), ["ants/1.png", "ants/link.png", "bees/3.png", "bees/deep/2.png"]);
    }

    #[test]
    fn a_circle_of_links_is_refused() {
        let root = folder(&["ants/deep/1.png"]);
        symlink(root.path().join("ants"), root.path().join("ants/deep/again")).unwrap();
        assert_eq!(
            refusal(root.path(), BadFiles::Error),
            "ROOT cannot be searched: the link ants/deep/again leads back to a folder that holds it; remove it"
        );
    }

    #[test]
    fn a_link_to_nothing_is_a_bad_file_not_a_missing_one() {
        let root = folder(&["ants/1.png"]);
        symlink("/nowhere/at/all.png", root.path().join("ants/gone.png")).unwrap();
        let said = refusal(root.path(), BadFiles::Error);
        assert!(said.starts_with("cannot decode ROOT/ants/gone.png: it cannot be read: "), "{said}");
        let folder = ImageFolder::open(root.path(), BadFiles::Skip).unwrap();
        assert_eq!((folder.len(), folder.excluded()[0].path.as_str()), (1, "ants/gone.png"));
    }

    #[test]
    fn names_that_are_not_utf8_are_kept() {
        let root = folder(&["ants/1.png"]);
        let odd = root.path().join("ants").join(OsStr::from_bytes(b"caf\xe9.png"));
        fs::copy(root.path().join("ants/1.png"), odd).unwrap();
        let folder = ImageFolder::open(root.path(), BadFiles::Error).unwrap();
        assert_eq!(ids(&folder), ["ants/1.png", "ants/caf\\xe9.png"]);
        assert_eq!(folder.image(1).unwrap(), folder.image(0).unwrap());
        // The one case in which two files would share an id.
        write_png(root.path(), "ants/caf\\xe9.png", 0);
        assert_eq!(
            refusal(root.path(), BadFiles::Error),
            "ROOT holds two things that are both written ants/caf\\xe9.png: rename one of them in plain UTF-8"
        );
    }

    #[test]
    fn a_socket_is_no_image() {
        let root = folder(&["ants/1.png"]);
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("ants/2.png")).unwrap();
        let folder = ImageFolder::open(root.path(), BadFiles::Error).unwrap();
        assert_eq!(folder.excluded()[0].reason, "it is neither a file nor a folder");
    }
}
