//! The augmentation spec: its TOML form, its errors, its presets.

#![allow(clippy::unwrap_used)]

use panal_data::augment::{AugmentSpec, Op};
use panal_data::transforms::{IMAGENET_MEAN, IMAGENET_STD};

fn parse(text: &str) -> Result<AugmentSpec, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
}

fn problem(text: &str) -> String {
    parse(text).unwrap().check().unwrap_err().to_string()
}

const EVERYTHING: &str = r#"
    ops = [
        { op = "resize", size = 256, interpolation = "bicubic" },
        { op = "pad", padding = [1, 2, 3, 4], fill = [9, 8, 7], mode = "reflect" },
        { op = "random_rotation", degrees = 15, expand = true, interpolation = "bilinear" },
        { op = "random_rotate90", p = 0.5 },
        { op = "random_resized_crop", size = [200, 224], scale = [0.08, 1], ratio = [0.5, 2.0] },
        { op = "center_crop", size = 192 },
        { op = "horizontal_flip" },
        { op = "random_vertical_flip", p = 0.25 },
        { op = "random_affine", degrees = [-10, 10], translate = [0.1, 0.2], scale = [0.9, 1.1], shear = [1, 2, 3, 4], fill = 5, center = [3, 4.5] },
        { op = "random_apply", p = 0.8, ops = [{ op = "color_jitter", brightness = 0.4, contrast = [0.5, 1.5], saturation = 0.4, hue = 0.1 }] },
        { op = "random_grayscale", p = 0.2 },
        { op = "gaussian_blur", kernel_size = [23, 9], sigma = [0.1, 2] },
        { op = "gaussian_noise", sigma = [0.01, 0.2] },
        { op = "sobel", p = 0.3 },
        { op = "cutout", size = 0.25, fill = 99 },
        { op = "random_erasing", value = "random" },
        { op = "random_erasing", p = 0.1, scale = [0.02, 0.1], ratio = [0.3, 3.3], value = [0.5, 0.4, 0.3] },
    ]
    mean = [0.5, 0.5, 0.5]
    std = [0.2, 0.25, 0.3]
"#;

#[test]
fn every_op_is_read_and_written_again() {
    let spec = parse(EVERYTHING).unwrap();
    let pipeline = spec.check().unwrap();
    assert_eq!(pipeline.size(), (192, 192));
    assert!(pipeline.is_random());
    let written = toml::to_string(&spec).unwrap();
    assert_eq!(parse(&written).unwrap(), spec, "{written}");
    let names: Vec<_> = spec.ops.iter().map(Op::name).collect();
    for name in names {
        assert!(written.contains(&format!("op = \"{name}\"")), "{name} in {written}");
        assert!(pipeline.describe().contains(name), "{name} in {}", pipeline.describe());
    }
}

#[test]
fn defaults_are_torchvisions_where_it_has_some() {
    let spec = parse(
        r#"ops = [
            { op = "random_resized_crop", size = 9 }, { op = "horizontal_flip" }, { op = "random_grayscale" },
            { op = "random_rotation", degrees = 3 }, { op = "gaussian_blur", kernel_size = 3 },
            { op = "random_apply", ops = [] }, { op = "random_rotate90" }, { op = "gaussian_noise" }, { op = "sobel" },
            { op = "cutout" }, { op = "random_erasing" },
        ]"#,
    )
    .unwrap();
    let full = parse(
        r#"ops = [
            { op = "random_resized_crop", size = 9, scale = [0.08, 1.0], ratio = [0.75, 1.3333333333333333], interpolation = "bilinear" },
            { op = "horizontal_flip", p = 0.5 }, { op = "random_grayscale", p = 0.1 },
            { op = "random_rotation", degrees = 3, interpolation = "nearest", expand = false, fill = 0 },
            { op = "gaussian_blur", kernel_size = 3, sigma = [0.1, 2.0] },
            { op = "random_apply", p = 0.5, ops = [] }, { op = "random_rotate90", p = 0.75 },
            { op = "gaussian_noise", sigma = 0.1 }, { op = "sobel", p = 0.5 },
            { op = "cutout", size = 0.5, fill = [124, 116, 104] },
            { op = "random_erasing", p = 0.5, scale = [0.02, 0.33], ratio = [0.3, 3.3], value = 0.0 },
        ]
        mean = [0.485, 0.456, 0.406]
        std = [0.229, 0.224, 0.225]"#,
    )
    .unwrap();
    assert_eq!(spec, full);
    assert_eq!((spec.mean, spec.std), (IMAGENET_MEAN, IMAGENET_STD));
}

/// The binary turns these messages into suggestions, so each begins by naming the word and goes on to list the known.
#[test]
fn unknown_words_are_named_beside_the_known() {
    for (text, word, near) in [
        (r#"ops = [{ op = "random_resize_crop", size = 9 }]"#, "random_resize_crop", "random_resized_crop"),
        (r#"ops = [{ op = "random_resized_crop", size = 9, scales = [0.1, 1.0] }]"#, "scales", "scale"),
        (r#"ops = [{ op = "resize", size = 9, interpolation = "linear" }]"#, "linear", "bilinear"),
        (r#"ops = [{ op = "random_apply", ops = [{ op = "color_jitter", sharpness = 1 }] }]"#, "sharpness", "contrast"),
        ("ops = []\nmeans = [0, 0, 0]", "means", "mean"),
    ] {
        let message = parse(text).unwrap_err();
        assert!(message.starts_with("unknown "), "{message}");
        let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
        assert_eq!(words[0], word, "{message}");
        assert!(words[1..].contains(&near), "{message}");
    }
}

#[test]
fn values_of_the_wrong_kind_say_what_is_wanted() {
    for (text, wanted) in [
        (r#"ops = [{ op = "resize", size = "big" }]"#, "expected a size in pixels"),
        (r#"ops = [{ op = "resize", size = -3 }]"#, "expected a size in pixels"),
        (r#"ops = [{ op = "random_rotation", degrees = [1, 2, 3] }]"#, "expected one number or [min, max]"),
        (r#"ops = [{ op = "random_rotation", degrees = 3, fill = 256 }]"#, "expected a fill in 0..=255"),
        (
            r#"ops = [{ op = "random_erasing", value = "noise" }]"#,
            "expected one number, [red, green, blue] or \"random\"",
        ),
        (r#"ops = [{ op = "resize" }]"#, "missing field `size`"),
        (r#"ops = [{ size = 3 }]"#, "missing field `op`"),
    ] {
        let message = parse(text).unwrap_err();
        assert!(message.contains(wanted), "{text}: {message}");
    }
}

#[test]
fn values_out_of_range_are_named_with_their_place() {
    let after_crop = |op: &str| format!(r#"ops = [{{ op = "center_crop", size = 8 }}, {op}]"#);
    for (op, expected) in [
        (r#"{ op = "horizontal_flip", p = 1.5 }"#, "ops[1].p must be in [0, 1], got 1.5"),
        (r#"{ op = "vertical_flip", p = nan }"#, "ops[1].p must be in [0, 1], got NaN"),
        (r#"{ op = "random_grayscale", p = -0.1 }"#, "ops[1].p must be in [0, 1], got -0.1"),
        (r#"{ op = "center_crop", size = 0 }"#, "ops[1].size must be in [1, 16384], got 0"),
        (r#"{ op = "resize", size = [9, 100000] }"#, "ops[1].size must be in [1, 16384], got [9, 100000]"),
        (r#"{ op = "pad", padding = [1, 99999] }"#, "ops[1].padding must be in [0, 16384], got 99999"),
        (
            r#"{ op = "random_resized_crop", size = 9, scale = [0.5, 1.5] }"#,
            "ops[1].scale must be [min, max] with 0 < min <= max <= 1, got [0.5, 1.5]",
        ),
        (
            r#"{ op = "random_resized_crop", size = 9, scale = [0, 1] }"#,
            "ops[1].scale must be [min, max] with 0 < min <= max <= 1, got [0, 1]",
        ),
        (
            r#"{ op = "random_resized_crop", size = 9, ratio = [2, 1] }"#,
            "ops[1].ratio must be [min, max] with 0 < min <= max, got [2, 1]",
        ),
        (
            r#"{ op = "random_rotation", degrees = -5 }"#,
            "ops[1].degrees must be >= 0 where it is a single number, got -5",
        ),
        (
            r#"{ op = "random_rotation", degrees = [0, inf] }"#,
            "ops[1].degrees must be [min, max] with min <= max, both finite, got [0, inf]",
        ),
        (
            r#"{ op = "random_rotation", degrees = 5, center = [nan, 0] }"#,
            "ops[1].center must be two numbers in [-1000000, 1000000], got [NaN, 0]",
        ),
        (r#"{ op = "random_affine", degrees = 0, translate = [0, 2] }"#, "ops[1].translate must be in [0, 1], got 2"),
        (
            r#"{ op = "random_affine", degrees = 0, scale = [-1, 2] }"#,
            "ops[1].scale must be [min, max] with 0 < min <= max, got [-1, 2]",
        ),
        (
            r#"{ op = "random_affine", degrees = 0, shear = -1 }"#,
            "ops[1].shear must be >= 0 where it is a single number, got -1",
        ),
        (
            r#"{ op = "color_jitter", brightness = -0.2 }"#,
            "ops[1].brightness must be >= 0 where it is a single number, got -0.2",
        ),
        (
            r#"{ op = "color_jitter", contrast = [-0.2, 1] }"#,
            "ops[1].contrast must be [min, max] with 0 <= min <= max, got [-0.2, 1]",
        ),
        (
            r#"{ op = "color_jitter", hue = 0.6 }"#,
            "ops[1].hue must be [min, max] with -0.5 <= min <= max <= 0.5, got [-0.6, 0.6]",
        ),
        (r#"{ op = "gaussian_blur", kernel_size = 4 }"#, "ops[1].kernel_size must be odd and below 16384, got 4"),
        (r#"{ op = "gaussian_blur", kernel_size = 3, sigma = 0 }"#, "ops[1].sigma must be > 0, got 0"),
        (
            r#"{ op = "gaussian_blur", kernel_size = 3, sigma = [0, 1] }"#,
            "ops[1].sigma must be [min, max] with 0 < min <= max, got [0, 1]",
        ),
        (r#"{ op = "random_rotate90", p = 1.1 }"#, "ops[1].p must be in [0, 1], got 1.1"),
        (r#"{ op = "sobel", p = -1 }"#, "ops[1].p must be in [0, 1], got -1"),
        (r#"{ op = "cutout", size = 0 }"#, "ops[1].size must be in (0, 1], got 0"),
        (r#"{ op = "cutout", size = 16 }"#, "ops[1].size must be in (0, 1], got 16"),
        (r#"{ op = "cutout", size = nan }"#, "ops[1].size must be in (0, 1], got NaN"),
        (r#"{ op = "gaussian_noise", sigma = -0.1 }"#, "ops[1].sigma must be in [0, 1], got -0.1"),
        (r#"{ op = "gaussian_noise", sigma = 25 }"#, "ops[1].sigma must be in [0, 1], got 25"),
        (
            r#"{ op = "gaussian_noise", sigma = [0.2, 0.1] }"#,
            "ops[1].sigma must be [min, max] with 0 <= min <= max <= 1, got [0.2, 0.1]",
        ),
        (r#"{ op = "random_erasing", p = 2 }"#, "ops[1].p must be in [0, 1], got 2"),
        (r#"{ op = "random_erasing", value = inf }"#, "ops[1].value must be finite, got inf"),
        (
            r#"{ op = "random_apply", ops = [{ op = "horizontal_flip", p = 7 }] }"#,
            "ops[1].ops[0].p must be in [0, 1], got 7",
        ),
        (
            r#"{ op = "random_apply", ops = [{ op = "center_crop", size = 7 }] }"#,
            "ops[1].ops[0] must be an op that keeps the size, and not random_erasing, got center_crop",
        ),
        (
            r#"{ op = "random_apply", ops = [{ op = "random_rotate90" }] }"#,
            "ops[1].ops[0] must be an op that keeps the size, and not random_erasing, got random_rotate90",
        ),
        (
            r#"{ op = "random_erasing" }, { op = "horizontal_flip" }"#,
            "ops[2] must be random_erasing, for nothing else can follow random_erasing, got horizontal_flip",
        ),
    ] {
        assert_eq!(problem(&after_crop(op)), expected);
    }
    let crop = "ops = [{ op = \"center_crop\", size = 8 }]\n";
    assert_eq!(problem(&format!("{crop}std = [1, 0, 1]")), "std must be three numbers > 0, got 0");
    assert_eq!(problem(&format!("{crop}mean = [inf, 0, 1]")), "mean must be three finite numbers, got inf");
}

#[test]
fn the_steps_must_end_in_one_size() {
    for (ops, got) in [
        ("", "no step that sets the size"),
        (r#"{ op = "horizontal_flip" }"#, "no step that sets the size"),
        (r#"{ op = "resize", size = 9 }"#, "ops[0] `resize 9` as the last that changes the size"),
        (
            r#"{ op = "center_crop", size = 9 }, { op = "random_rotation", degrees = 3, expand = true }"#,
            "ops[1] `random_rotation (degrees 3)` as the last that changes the size",
        ),
        (
            r#"{ op = "center_crop", size = [9, 8] }, { op = "random_rotate90" }"#,
            "ops[1] `random_rotate90 (p 0.75)` as the last that changes the size",
        ),
    ] {
        let expected = "ops must be steps that end in one size for every image \
                        (add center_crop, random_resized_crop or a resize to [height, width]), got ";
        assert_eq!(problem(&format!("ops = [{ops}]")), format!("{expected}{got}"));
    }
    // A shorter side is enough once the size is known; a border then counts too.
    let known = parse(
        r#"ops = [{ op = "center_crop", size = [8, 12] }, { op = "resize", size = 16 }, { op = "pad", padding = [1, 2] }]"#,
    );
    assert_eq!(known.unwrap().check().unwrap().size(), (16 + 4, 24 + 2));
    let square = parse(r#"ops = [{ op = "center_crop", size = 8 }, { op = "random_rotate90" }]"#);
    assert_eq!(square.unwrap().check().unwrap().size(), (8, 8));
}

#[test]
fn presets_are_what_they_say() {
    let plain = AugmentSpec::plain(256, 224).check().unwrap();
    assert_eq!((plain.size(), plain.is_random()), ((224, 224), false));
    assert_eq!(plain.describe(), "resize 256, center_crop 224, normalize");
    let supervised = AugmentSpec::supervised(224).check().unwrap();
    assert_eq!((supervised.size(), supervised.is_random()), ((224, 224), true));
    assert_eq!(
        supervised.describe(),
        "random_resized_crop 224 (scale [0.08, 1.0]), horizontal_flip (p 0.5), \
         color_jitter (brightness 0.2, contrast 0.2, saturation 0.2), normalize"
    );
}

#[test]
fn what_cannot_differ_is_not_random() {
    let random = |op: &str| {
        let text = format!(r#"ops = [{{ op = "center_crop", size = 8 }}, {op}]"#);
        parse(&text).unwrap().check().unwrap().is_random()
    };
    for op in [
        r#"{ op = "horizontal_flip", p = 0 }"#,
        r#"{ op = "horizontal_flip", p = 1 }"#,
        r#"{ op = "random_grayscale", p = 1 }"#,
        r#"{ op = "color_jitter" }"#,
        r#"{ op = "random_rotation", degrees = [5, 5] }"#,
        r#"{ op = "random_affine", degrees = 0 }"#,
        r#"{ op = "gaussian_blur", kernel_size = 3, sigma = 1 }"#,
        r#"{ op = "random_rotate90", p = 0 }"#,
        r#"{ op = "gaussian_noise", sigma = 0 }"#,
        r#"{ op = "sobel", p = 1 }"#,
        r#"{ op = "random_apply", p = 0, ops = [{ op = "horizontal_flip" }] }"#,
        r#"{ op = "random_apply", p = 1, ops = [{ op = "horizontal_flip", p = 1 }] }"#,
        r#"{ op = "random_erasing", p = 0 }"#,
    ] {
        assert!(!random(op), "{op}");
    }
    for op in [
        r#"{ op = "vertical_flip", p = 0.9 }"#,
        r#"{ op = "color_jitter", hue = 0.1 }"#,
        r#"{ op = "random_rotation", degrees = 5 }"#,
        r#"{ op = "random_affine", degrees = 0, shear = 3 }"#,
        r#"{ op = "gaussian_blur", kernel_size = 3 }"#,
        r#"{ op = "random_rotate90", p = 1 }"#,
        r#"{ op = "gaussian_noise" }"#,
        r#"{ op = "sobel" }"#,
        r#"{ op = "cutout" }"#,
        r#"{ op = "random_apply", p = 1, ops = [{ op = "horizontal_flip" }] }"#,
        r#"{ op = "random_erasing", p = 1 }"#,
    ] {
        assert!(random(op), "{op}");
    }
}
