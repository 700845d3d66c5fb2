//! From solids, rods and wings to lit pixels with a depth, seen by a camera far away (orthographic). What is seen is `body`'s.

use glam::{Mat2, Mat3, Vec2, Vec3};
use image::{GrayImage, Luma};
use imageproc::drawing::{draw_antialiased_line_segment_mut, draw_filled_circle_mut, draw_polygon_mut};
use imageproc::pixelops::interpolate;
use imageproc::point::Point;

use super::body::{Body, Mark, Membrane, Rod, Skin, Solid};
use super::species::PatternKind;

/// Where the animal is seen from, and how large.
pub(super) struct Camera {
    /// Rows: to the right, up, and towards the camera.
    pub(super) view: Mat3,
    /// Pixels a body length.
    pub(super) scale: f32,
    /// The pixel at which the origin of the animal's space is seen.
    pub(super) centre: Vec2,
}

impl Camera {
    /// From space to pixels, y downwards, and depth in pixels towards the camera.
    fn to_pixels(&self) -> Mat3 {
        Mat3::from_diagonal(Vec3::new(self.scale, -self.scale, self.scale)) * self.view
    }

    fn place(&self, point: Vec3) -> Vec3 {
        self.to_pixels() * point + self.centre.extend(0.0)
    }
}

/// One lamp far away, and light from everywhere.
pub(super) struct Light {
    /// Unit vector towards the lamp.
    pub(super) towards: Vec3,
    pub(super) colour: [f32; 3],
    pub(super) ambient: f32,
}

impl Light {
    /// The colour that a surface shows whose unit normal is this, to a camera in this direction.
    fn on(&self, rgb: [f32; 3], gloss: f32, normal: Vec3, to_camera: Vec3) -> [f32; 3] {
        let lit = normal.dot(self.towards).max(0.0) * (1.0 - self.ambient) + self.ambient * (0.75 + 0.25 * normal.z);
        let half = (self.towards + to_camera).normalize_or_zero();
        let mirrored = normal.dot(half).max(0.0);
        // To the 32nd power.
        let mirrored = (0..5).fold(mirrored, |value, _| value * value) * gloss * 0.7;
        std::array::from_fn(|c| rgb[c] * lit * self.colour[c] + mirrored * self.colour[c])
    }
}

/// Pixels with a depth: what is nearer hides what is farther away.
pub(super) struct Canvas {
    pub(super) side: usize,
    pub(super) rgb: Vec<[f32; 3]>,
    depth: Vec<f32>,
}

impl Canvas {
    /// A canvas that shows this ground, `side * side` pixels, behind everything.
    pub(super) fn new(side: usize, ground: Vec<[f32; 3]>) -> Self {
        Self { side, rgb: ground, depth: vec![f32::NEG_INFINITY; side * side] }
    }

    /// Paints a whole animal: what is opaque, then the wings from the farthest to the nearest.
    pub(super) fn paint(&mut self, body: &Body<'_>, camera: &Camera, light: &Light) {
        for solid in &body.solids {
            self.solid(solid, camera, light);
        }
        for rod in &body.rods {
            self.rod(rod, camera, light);
        }
        let mut wings: Vec<_> = body.wings.iter().collect();
        let depth = |wing: &Membrane<'_>| camera.place(wing.hinge + wing.along * 0.5).z;
        wings.sort_by(|a, b| depth(a).total_cmp(&depth(b)));
        for wing in wings {
            self.wing(wing, camera, light);
        }
    }

    fn solid(&mut self, solid: &Solid, camera: &Camera, light: &Light) {
        let axes = camera.to_pixels() * solid.axes;
        let centre = camera.place(solid.centre);
        let Some(inverse) = invert(axes) else { return };
        let normal_of = solid.axes.inverse().transpose();
        let to_camera = camera.view.transpose().z_axis;
        // In the space where the solid is the unit sphere, the ray through a pixel is `start + depth * ray`.
        let ray = inverse.z_axis;
        let square = ray.length_squared();
        let rows = axes.transpose();
        let reach = Vec2::new(rows.x_axis.length(), rows.y_axis.length());
        for (x, y) in pixels(self.side, centre.truncate(), reach) {
            let offset = Vec2::new(x as f32 + 0.5, y as f32 + 0.5) - centre.truncate();
            let start = inverse.x_axis * offset.x + inverse.y_axis * offset.y;
            let along = start.dot(ray);
            let root = along * along - square * (start.length_squared() - 1.0);
            if root < 0.0 {
                continue;
            }
            let depth = (root.sqrt() - along) / square;
            if self.reach(x, y, centre.z + depth) {
                let unit = start + ray * depth;
                let normal = (normal_of * unit).normalize_or_zero();
                let rgb = skin_colour(&solid.skin, unit);
                self.rgb[y * self.side + x] = light.on(rgb, solid.skin.base.gloss, normal, to_camera);
            }
        }
    }

    fn rod(&mut self, rod: &Rod, camera: &Camera, light: &Light) {
        let (from, to) = (camera.place(rod.from), camera.place(rod.to));
        let (start, way) = (from.truncate(), to.truncate() - from.truncate());
        let square = way.length_squared().max(1e-6);
        let across = way.perp() / square.sqrt();
        // Thinner than a pixel it would be dotted.
        let radius = rod.radius.map(|radius| (radius * camera.scale).max(0.55));
        let thickest = radius[0].max(radius[1]);
        let back = camera.view.transpose();
        let (middle, reach) = (start + way * 0.5, way.abs() * 0.5 + Vec2::splat(thickest));
        for (x, y) in pixels(self.side, middle, reach) {
            let offset = Vec2::new(x as f32 + 0.5, y as f32 + 0.5) - start;
            let share = (offset.dot(way) / square).clamp(0.0, 1.0);
            let here = radius[0] + (radius[1] - radius[0]) * share;
            let aside = offset - way * share;
            let distance = aside.length_squared() / (here * here);
            if distance > 1.0 {
                continue;
            }
            let height = (1.0 - distance).sqrt();
            if self.reach(x, y, from.z + (to.z - from.z) * share + height * here) {
                let sideways = across * (aside.dot(across) / here);
                let normal = back * Vec3::new(sideways.x, -sideways.y, height);
                let rgb = rod.surface.rgb;
                self.rgb[y * self.side + x] =
                    light.on(rgb, rod.surface.gloss * 0.5, normal.normalize_or_zero(), back.z_axis);
            }
        }
    }

    fn wing(&mut self, wing: &Membrane<'_>, camera: &Camera, light: &Light) {
        let to_pixels = camera.to_pixels();
        let (along, across) = (to_pixels * wing.along, to_pixels * wing.across);
        let plane = Mat2::from_cols(along.truncate(), across.truncate());
        // Seen from its edge a wing can't be seen.
        if plane.determinant().abs() < 1.0 {
            return;
        }
        let to_wing = plane.inverse();
        let hinge = camera.place(wing.hinge);
        let texture = WingTexture::new(wing);
        let back = camera.view.transpose();
        let normal = wing.along.cross(wing.across).normalize_or_zero();
        let normal = if normal.dot(back.z_axis) < 0.0 { -normal } else { normal };
        let lit = |rgb, gloss| light.on(rgb, gloss, normal, back.z_axis);
        let (membrane, vein) = (lit(wing.colour, 0.6), lit(wing.vein, 0.1));
        let marks = wing.marks.map(|rgb| lit(rgb, 0.1));
        let middle = hinge.truncate() + along.truncate() * 0.5;
        let reach = along.truncate().abs() * 0.5 + across.truncate().abs() * 0.5;
        for (x, y) in pixels(self.side, middle, reach) {
            let at = to_wing * (Vec2::new(x as f32 + 0.5, y as f32 + 0.5) - hinge.truncate());
            let Some([inside, on_vein, marked]) = texture.at(at) else { continue };
            let place = y * self.side + x;
            if inside == 0.0 || hinge.z + along.z * at.x + across.z * at.y < self.depth[place] {
                continue;
            }
            let film = marks.filter(|_| marked > 0.5).unwrap_or(membrane);
            let opacity = wing.opacity + (0.85 - wing.opacity).max(0.0) * on_vein;
            let below = self.rgb[place];
            self.rgb[place] = std::array::from_fn(|c| {
                let film = film[c] + (vein[c] - film[c]) * on_vein;
                below[c] + (film - below[c]) * opacity
            });
        }
    }

    /// Whether what lies at this depth is the nearest so far; it is then remembered.
    fn reach(&mut self, x: usize, y: usize, depth: f32) -> bool {
        let place = y * self.side + x;
        let nearer = depth > self.depth[place];
        if nearer {
            self.depth[place] = depth;
        }
        nearer
    }
}

/// How much of the lamp's light the animal keeps from each pixel of the ground, 0 to 1, not yet softened.
pub(super) fn shadow(body: &Body<'_>, camera: &Camera, light: &Light, side: usize) -> Vec<f32> {
    // Along the light onto the ground, then into the picture.
    let fall = Mat3::from_cols(Vec3::X, Vec3::Y, Vec3::new(-light.towards.x, -light.towards.y, 0.0) / light.towards.z);
    let project = camera.to_pixels() * fall;
    let mut shade = vec![0.0f32; side * side];
    for solid in &body.solids {
        let axes = (project * solid.axes).transpose();
        let (x_row, y_row) = (axes.x_axis, axes.y_axis);
        // The silhouette of an ellipsoid is the ellipse whose matrix is B Bᵀ, B being the two rows.
        let cross = x_row.dot(y_row);
        let matrix = Mat2::from_cols_array(&[x_row.length_squared(), cross, cross, y_row.length_squared()]);
        if matrix.determinant() < 1e-3 {
            continue;
        }
        let inverse = matrix.inverse();
        let centre = (project * solid.centre).truncate() + camera.centre;
        for (x, y) in pixels(side, centre, Vec2::new(x_row.length(), y_row.length())) {
            let offset = Vec2::new(x as f32 + 0.5, y as f32 + 0.5) - centre;
            if offset.dot(inverse * offset) <= 1.0 {
                shade[y * side + x] = 1.0;
            }
        }
    }
    for rod in body.rods.iter().filter(|rod| rod.radius[0] > 0.006) {
        let place = |point: Vec3| (project * point).truncate() + camera.centre;
        let (from, way) = (place(rod.from), place(rod.to) - place(rod.from));
        let square = way.length_squared().max(1e-6);
        let radius = (rod.radius[0] * camera.scale).max(0.6);
        for (x, y) in pixels(side, from + way * 0.5, way.abs() * 0.5 + Vec2::splat(radius)) {
            let offset = Vec2::new(x as f32 + 0.5, y as f32 + 0.5) - from;
            let aside = offset - way * (offset.dot(way) / square).clamp(0.0, 1.0);
            if aside.length_squared() <= radius * radius {
                shade[y * side + x] = 1.0;
            }
        }
    }
    for wing in &body.wings {
        let plane = Mat2::from_cols((project * wing.along).truncate(), (project * wing.across).truncate());
        if plane.determinant().abs() < 1.0 {
            continue;
        }
        let (to_wing, hinge) = (plane.inverse(), (project * wing.hinge).truncate() + camera.centre);
        let texture = WingTexture::new(wing);
        let reach = plane.x_axis.abs() * 0.5 + plane.y_axis.abs() * 0.5;
        for (x, y) in pixels(side, hinge + plane.x_axis * 0.5, reach) {
            let at = to_wing * (Vec2::new(x as f32 + 0.5, y as f32 + 0.5) - hinge);
            if let Some([inside, on_vein, _]) = texture.at(at) {
                let place = &mut shade[y * side + x];
                *place = place.max(inside * (wing.opacity * 0.8 + 0.3 * on_vein).min(1.0));
            }
        }
    }
    shade
}

/// The colour of a skin at a point of the unit sphere.
fn skin_colour(skin: &Skin, unit: Vec3) -> [f32; 3] {
    let [begin, end] = skin.span;
    // Rear ends of solids point along -x.
    let share = begin + (end - begin) * (0.5 - 0.5 * unit.x);
    let mut rgb = skin.base.rgb;
    for mark in &skin.marks {
        if is_marked(mark, share, unit) {
            rgb = mark.colour;
        }
    }
    // The furrow between two rings, and a paler belly.
    let whole = begin == 0.0 && end == 1.0;
    let furrow = if !whole && (unit.x > 0.55 || unit.x < -0.55) { 0.72 } else { 1.0 };
    let belly = 1.0 + 0.35 * (-unit.z).max(0.0);
    rgb.map(|c| (c * furrow * belly).min(1.0))
}

fn is_marked(mark: &Mark, share: f32, unit: Vec3) -> bool {
    let cell = |place: f32| place * mark.count - (place * mark.count).floor();
    match mark.kind {
        PatternKind::Bands => cell(share) > 1.0 - mark.size,
        PatternKind::Stripes => unit.z > -0.2 && cell(0.5 + 0.5 * unit.y) < mark.size,
        PatternKind::Midline => unit.z > 0.0 && unit.y.abs() < mark.size,
        PatternKind::Spots => {
            // In rings about the back, from the golden angle: even, and in no rows.
            let share = Vec2::new(2.0 * share - 1.0, unit.y);
            (0..mark.count as u32).any(|index| {
                let turn = Vec2::from_angle(2.399_963_2 * index as f32);
                let spot = turn * ((index as f32 + 0.5) / mark.count).sqrt() * 0.85;
                unit.z > -0.1 && spot.distance_squared(share) < mark.size * mark.size
            })
        }
    }
}

/// A wing in its own plane.
struct WingTexture {
    membrane: GrayImage,
    veins: GrayImage,
    marks: Option<GrayImage>,
}

impl WingTexture {
    const ALONG: u32 = 128;
    const ACROSS: u32 = 64;

    fn new(wing: &Membrane<'_>) -> Self {
        let blank = || GrayImage::new(Self::ALONG, Self::ACROSS);
        let (mut membrane, mut veins) = (blank(), blank());
        let mut outline: Vec<_> = wing.shape.outline.iter().map(|&point| Self::place(point)).collect();
        outline.dedup();
        draw_polygon_mut(&mut membrane, &outline, Luma([255]));
        let line = |veins: &mut GrayImage, from: Point<i32>, to: Point<i32>| {
            for thick in 0..2 {
                let (from, to) = ((from.x, from.y + thick), (to.x, to.y + thick));
                draw_antialiased_line_segment_mut(veins, from, to, Luma([255]), interpolate);
            }
        };
        for vein in &wing.shape.veins {
            for ends in vein.windows(2) {
                line(&mut veins, Self::place(ends[0]), Self::place(ends[1]));
            }
        }
        // The leading edge is the strongest vein.
        for ends in wing.shape.outline.windows(2).filter(|ends| ends.iter().all(|end| end[1] > 0.0)) {
            line(&mut veins, Self::place(ends[0]), Self::place(ends[1]));
        }
        let marks = wing.marks.map(|_| {
            let mut marks = blank();
            for [along, across, radius] in [[0.86, 0.3, 7.0], [0.88, 0.0, 6.0], [0.8, -0.25, 7.0], [0.5, 0.12, 10.0]] {
                let Point { x, y } = Self::place([along, across]);
                draw_filled_circle_mut(&mut marks, (x, y), radius as i32, Luma([255]));
            }
            marks
        });
        Self { membrane, veins, marks }
    }

    fn place([along, across]: [f32; 2]) -> Point<i32> {
        let (width, height) = (Self::ALONG as f32 - 1.0, Self::ACROSS as f32 - 1.0);
        Point::new((along * width).round() as i32, ((0.5 - across) * height).round() as i32)
    }

    /// Membrane, vein and mark at a place of the wing, each 0 to 1.
    fn at(&self, place: Vec2) -> Option<[f32; 3]> {
        if !(0.0..=1.0).contains(&place.x) || !(-0.5..=0.5).contains(&place.y) {
            return None;
        }
        let Point { x, y } = Self::place([place.x, place.y]);
        let read = |image: &GrayImage| f32::from(image.get_pixel(x as u32, y as u32).0[0]) / 255.0;
        Some([read(&self.membrane), read(&self.veins), self.marks.as_ref().map_or(0.0, read)])
    }
}

/// The pixels whose places lie within `reach` of `centre`, row by row.
fn pixels(side: usize, centre: Vec2, reach: Vec2) -> impl Iterator<Item = (usize, usize)> {
    let range = |middle: f32, reach: f32| {
        let low = (middle - reach).floor().clamp(0.0, side as f32) as usize;
        let high = (middle + reach).ceil().clamp(0.0, side as f32) as usize;
        low..high
    };
    let columns = range(centre.x, reach.x);
    range(centre.y, reach.y).flat_map(move |y| columns.clone().map(move |x| (x, y)))
}

fn invert(matrix: Mat3) -> Option<Mat3> {
    (matrix.determinant().abs() > 1e-6).then(|| matrix.inverse())
}
