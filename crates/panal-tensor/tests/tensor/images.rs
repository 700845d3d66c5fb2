//! Pixels into tensors, and channels-last strides.

use panal_data::Batch;
use panal_tensor::{
    TensorError, batch_to_tensors, channels_last, is_channels_last, labels_to_tensor, pixels_for, pixels_to_tensor,
};
use tch::{Device, Kind, Tensor};

/// Every pixel lands where its row, column and channel say; height and width differ.
#[test]
fn pixels_keep_their_places() {
    let (n, h, w) = (2, 4, 5);
    let pixels: Vec<f32> = (0..n * h * w * 3).map(|at| at as f32).collect();
    let images = pixels_to_tensor(&pixels, [n, h, w], Device::Cpu).unwrap();
    assert_eq!(images.size(), [2, 3, 4, 5]);
    assert_eq!(images.stride(), [60, 1, 15, 3]);
    assert!(is_channels_last(&images) && !images.is_contiguous());
    for (at, &value) in pixels.iter().enumerate() {
        let (c, x, y, image) = (at % 3, at / 3 % w, at / 3 / w % h, at / 3 / w / h);
        assert_eq!(images.double_value(&[image as i64, c as i64, y as i64, x as i64]), f64::from(value));
    }
}

/// Whatever memory the pixels lie in.
#[test]
fn a_batch_becomes_the_tensor_of_its_pixels() {
    let values: Vec<f32> = (0..2 * 4 * 5 * 3).map(|at| at as f32).collect();
    let want = pixels_to_tensor(&values, [2, 4, 5], Device::Cpu).unwrap();
    let mut in_tensor = pixels_for(Device::Cpu)(values.len());
    in_tensor.copy_from_slice(&values);
    let address = in_tensor.as_ptr();
    for (views, labels, pixels) in [(1, vec![1, 0], values.into()), (2, vec![1], in_tensor)] {
        let batch = Batch { pixels, views, height: 4, width: 5, labels, indices: vec![7, 3] };
        let labels = batch.labels.clone();
        let (images, classes) = batch_to_tensors(batch, Device::Cpu).unwrap();
        assert!(images.equal(&want) && images.stride() == want.stride());
        assert_eq!(Vec::<i64>::try_from(classes).unwrap(), labels);
        assert_eq!(
            views == 2,
            images.data_ptr().cast_const().cast() == address,
            "only a tensor's memory is taken over"
        );
    }
}

#[test]
fn a_tensors_memory_of_another_length_is_refused() {
    let batch =
        Batch { pixels: pixels_for(Device::Cpu)(59), views: 1, height: 4, width: 5, labels: vec![1], indices: vec![0] };
    assert!(matches!(batch_to_tensors(batch, Device::Cpu), Err(TensorError::Length { got: 59, .. })));
}

#[test]
fn a_buffer_of_another_length_is_refused() {
    let error = pixels_to_tensor(&[0.0; 59], [1, 4, 5], Device::Cpu).unwrap_err();
    assert_eq!(error.to_string(), "a batch of images: shape [1, 4, 5, 3] needs 60 values, got 59");
    let overflow = pixels_to_tensor(&[], [usize::MAX, 2, 2], Device::Cpu);
    assert!(matches!(overflow, Err(TensorError::Length { .. })));
}

#[test]
fn no_images_make_an_empty_tensor() {
    assert_eq!(pixels_to_tensor(&[], [0, 4, 5], Device::Cpu).unwrap().size(), [0, 3, 4, 5]);
    assert_eq!(labels_to_tensor(&[], Device::Cpu).unwrap().size(), [0]);
}

#[test]
fn labels_are_kept() {
    let labels = labels_to_tensor(&[3, 0, 2], Device::Cpu).unwrap();
    assert_eq!((labels.kind(), Vec::<i64>::try_from(&labels).unwrap()), (Kind::Int64, vec![3, 0, 2]));
}

/// The strides are those that torch's own memory format has (`[C * H * W, 1, W * C, C]`), the values untouched.
#[test]
fn channels_last_changes_strides_and_no_values() {
    let plain = Tensor::arange(2 * 3 * 4 * 5, (Kind::Float, Device::Cpu)).view([2, 3, 4, 5]);
    assert!(!is_channels_last(&plain));
    let last = channels_last(&plain).unwrap();
    assert_eq!(last.stride(), [60, 1, 15, 3]);
    assert!(last.equal(&plain));
    // A second time costs no copy.
    assert_eq!(channels_last(&last).unwrap().data_ptr(), last.data_ptr());
    // Only 4-d tensors have such strides.
    let matrix = plain.view([6, 20]);
    assert_eq!(channels_last(&matrix).unwrap().stride(), [20, 1]);
    assert!(!is_channels_last(&matrix));
    // Depthwise and pointwise kernels are the same memory in both layouts.
    assert!(is_channels_last(&Tensor::zeros([8, 1, 3, 3], (Kind::Float, Device::Cpu))));
    assert!(is_channels_last(&Tensor::zeros([8, 6, 1, 1], (Kind::Float, Device::Cpu))));
}
