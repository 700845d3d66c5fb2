//! The real photographs of ants and bees, from the mirror; skipped out loud where that is not there.

use std::fs;
use std::sync::Arc;

use panal_data::{AugmentSpec, BadFiles, DataSource, ImageFolder, Loader, LoaderSpec};

use crate::shared::unpacked;

#[test]
fn all_397_photographs_are_counted_and_read() {
    let Some(folder) = unpacked("hymenoptera_data.zip") else { return };
    let root = folder.path().join("hymenoptera_data");
    let train = ImageFolder::open(&root.join("train"), BadFiles::Error).unwrap();
    let val = ImageFolder::open(&root.join("val"), BadFiles::Error).unwrap();
    assert_eq!(train.classes(), ["ants", "bees"]);
    assert_eq!(val.classes(), train.classes());
    assert_eq!((train.len(), train.class_counts()), (244, vec![123, 121]));
    assert_eq!((val.len(), val.class_counts()), (153, vec![70, 83]));
    let excluded: Vec<String> = train.excluded().iter().map(|file| format!("{}: {}", file.path, file.reason)).collect();
    assert_eq!(
        excluded,
        ["ants/imageNotFound.gif: extension .gif is not one of .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp"]
    );
    assert!(val.excluded().is_empty());
    assert_eq!((train.id(0), train.label(0)), ("ants/0013035.jpg".to_owned(), 0));
    assert_eq!((train.id(123), train.label(123)), ("bees/1092977343_cb42b38d62.jpg".to_owned(), 1));
    // Made again from torchvision's `ImageFolder(...).samples` by the recipe in the documentation of `digest`.
    assert_eq!(train.digest().unwrap(), "99b02b63c1dc5a0ea8514617124cf1e9a5a3aeeb4b71fac6ffe3665630180b52");
    assert_eq!(val.digest().unwrap(), "c001c3ab27899f9ea21eca4520a04ad57d56642298c4acb80a528532d9a0954c");

    // A photograph cut short, as in the handbook.
    let path = root.join("train/ants/0013035.jpg");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 3]).unwrap();
    let said = ImageFolder::open(&root.join("train"), BadFiles::Error).map(drop).unwrap_err().to_string();
    println!("{said} (in truth {})", whole.len());
    assert!(said.starts_with(&format!("cannot decode {}: the JPEG ends after ", path.display())), "{said}");
    assert!(said.contains(" of about ") && said.ends_with(" bytes"), "{said}");
    let skipped = ImageFolder::open(&root.join("train"), BadFiles::Skip).unwrap();
    assert_eq!((skipped.len(), skipped.excluded().len()), (243, 2));

    let pipeline = AugmentSpec::supervised(64).check().unwrap();
    let spec = LoaderSpec { batch: 16, shuffle: true, ..LoaderSpec::default() };
    let loader = Loader::new(Arc::new(skipped), pipeline, spec).unwrap();
    let images: usize = loader.epoch(0).map(|batch| batch.unwrap().labels.len()).sum();
    assert_eq!(images, 243);
}
