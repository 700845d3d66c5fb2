//! The bank of images: what it holds, how much it takes, and what it refuses.

use panal_augment::{AugmentError, Augmenter, ImageBank};
use panal_data::augment::{AugmentSpec, Op};
use panal_data::transforms::{CenterCrop, Size};
use panal_data::{DataError, DataSource};
use tch::{Device, Tensor};

use crate::{Images, bank, picture, pictures};

#[test]
fn it_takes_three_bytes_a_pixel_whatever_the_sizes() {
    let bank = bank(&pictures(&[(4, 5), (7, 3)]));
    assert_eq!((bank.len(), bank.is_empty(), bank.bytes(), bank.device()), (2, false, 3 * (20 + 21), Device::Cpu));
    assert_eq!((bank.size(0).unwrap(), bank.size(1).unwrap()), ((4, 5), (7, 3)));
}

/// A crop of the whole image gives back its pixels, in the order asked for.
#[test]
fn images_come_back_as_they_went_in() {
    for sizes in [[(4, 5); 3], [(4, 5), (8, 9), (6, 7)]] {
        let images = pictures(&sizes);
        let bank = bank(&images);
        let ops = vec![Op::CenterCrop(CenterCrop { size: Size::Both([4, 5]) })];
        let spec = AugmentSpec { ops, mean: [0.0; 3], std: [1.0; 3] };
        let views = Augmenter::new(&spec, Device::Cpu).unwrap().views(&bank, &[2, 0, 2], 0, 1, 0).unwrap();
        for (place, index) in [2usize, 0, 2].into_iter().enumerate() {
            let image = &images.0[index];
            let (top, left) = (image.height() as i64 / 2 - 2, image.width() as i64 / 2 - 2);
            let whole = Tensor::from_slice(image.as_raw()).view([image.height().into(), image.width().into(), 3]);
            let want = whole.narrow(0, top, 4).narrow(1, left, 5).permute([2, 0, 1]);
            let got = views.get(place as i64) * 255.0;
            assert!(got.round().allclose(&want.to_kind(tch::Kind::Float), 0.0, 1e-3, false), "{index} of {sizes:?}");
        }
    }
}

#[test]
fn more_bytes_than_the_limit_are_refused() {
    let images = pictures(&[(4, 5), (7, 3), (2, 2)]);
    assert!(ImageBank::new(&images, Device::Cpu, 3 * 45).is_ok());
    let error = ImageBank::new(&images, Device::Cpu, 100).unwrap_err();
    assert!(matches!(error, AugmentError::TooLarge { images: 2, of: 3, bytes: 123, limit: 100, .. }));
    assert_eq!(
        error.to_string(),
        "`images` takes more than 100 bytes on cpu: 2 of its 3 images take 123\n  = raise the limit if the device has the \
         room, or load the images with panal_data::Loader"
    );
}

#[test]
fn no_images_are_refused() {
    let error = ImageBank::new(&Images(vec![]), Device::Cpu, 100).unwrap_err();
    assert_eq!(error.to_string(), "the number of images of a bank must be > 0, got 0");
}

/// The second image cannot be read.
struct Broken;

impl DataSource for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    fn classes(&self) -> &[String] {
        const { &[] }
    }

    fn len(&self) -> usize {
        2
    }

    fn label(&self, _: usize) -> usize {
        0
    }

    fn id(&self, index: usize) -> String {
        index.to_string()
    }

    fn image(&self, index: usize) -> Result<image::RgbImage, DataError> {
        if index == 0 {
            return Ok(picture(4, 5, 0));
        }
        Err(DataError::Decode { name: "1".to_owned(), reason: "it is broken".to_owned() })
    }

    fn content_digest(&self, _: usize) -> Result<[u8; 32], DataError> {
        Ok([0; 32])
    }
}

#[test]
fn an_image_that_cannot_be_read_is_named() {
    let error = ImageBank::new(&Broken, Device::Cpu, 1000).unwrap_err();
    assert_eq!(error.to_string(), "cannot decode 1: it is broken");
}
