//! One animal of a species in one pose: solids, rods and wings in space. How they look from a camera lives in `paint`.
//!
//! The animal looks along x, its left is y, the ground is z = 0; its body is about one unit long.

use std::f32::consts::PI;

use glam::{Mat3, Vec2, Vec3};

use super::draw::Draw;
use super::species::{
    Abdomen, AntennaKind, Antennae, Legs, PatternKind, Place, Segment, Species, Surface, Table, Wing, WingShape,
};

/// An ellipsoid with a skin.
#[derive(Clone, Debug)]
pub(super) struct Solid {
    pub(super) centre: Vec3,
    /// Its half axes as columns: along the body, to the left, up.
    pub(super) axes: Mat3,
    pub(super) skin: Skin,
}

/// What the surface of a solid looks like.
#[derive(Clone, Debug)]
pub(super) struct Skin {
    pub(super) base: Surface,
    /// Where this solid begins and ends on its segment, 0 at the front and 1 at the end.
    pub(super) span: [f32; 2],
    pub(super) marks: Vec<Mark>,
}

/// A pattern in one colour.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) kind: PatternKind,
    pub(super) count: f32,
    /// Share of the surface that it takes, for bands and stripes; radius of a spot.
    pub(super) size: f32,
    pub(super) colour: [f32; 3],
}

/// A straight piece of a leg, an antenna or a hair, thinner or thicker towards its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rod {
    pub(super) from: Vec3,
    pub(super) to: Vec3,
    pub(super) radius: [f32; 2],
    pub(super) surface: Surface,
}

/// A flat wing.
#[derive(Clone, Debug)]
pub(super) struct Membrane<'a> {
    pub(super) hinge: Vec3,
    /// From the hinge to the tip.
    pub(super) along: Vec3,
    /// Across, its whole width, towards the leading edge.
    pub(super) across: Vec3,
    pub(super) shape: &'a WingShape,
    pub(super) colour: [f32; 3],
    pub(super) vein: [f32; 3],
    pub(super) opacity: f32,
    /// Spots and a margin in this colour, as on a butterfly.
    pub(super) marks: Option<[f32; 3]>,
}

/// A whole animal.
#[derive(Clone, Debug, Default)]
pub(super) struct Body<'a> {
    pub(super) solids: Vec<Solid>,
    pub(super) rods: Vec<Rod>,
    pub(super) wings: Vec<Membrane<'a>>,
}

/// An animal of `species`, drawn from all that are possible.
pub(super) fn pose<'a>(table: &'a Table, species: &'a Species, draw: &mut Draw) -> Body<'a> {
    let colours = Colours::draw(table, species, draw);
    let mut pose = Pose { species, colours, draw, body: Body::default() };
    let thorax = pose.thorax();
    let head = pose.head(&thorax);
    let end = pose.abdomen(&thorax);
    pose.legs(&thorax);
    pose.antennae(&head);
    pose.mouth(&head);
    pose.rear(end);
    for (index, wing) in species.wings.iter().enumerate() {
        if let Some(shape) = table.wing(wing) {
            pose.wings(&thorax, wing, shape, index);
        }
    }
    pose.body
}

/// The colours of one animal.
struct Colours {
    head: Surface,
    thorax: Surface,
    abdomen: Surface,
    limbs: Surface,
    mark: [f32; 3],
    hair: [f32; 3],
    eye: Surface,
    vein: [f32; 3],
    membrane: [f32; 3],
}

impl Colours {
    fn draw(table: &Table, species: &Species, draw: &mut Draw) -> Self {
        let own = |names: &[String], draw: &mut Draw| {
            let surface = table.colour(draw.pick(names).as_str());
            let light = draw.between(0.75, 1.3);
            Surface { rgb: surface.rgb.map(|c| (c * light * draw.about(1.0, 0.12)).min(1.0)), ..surface }
        };
        let base = own(&species.colours, draw);
        let part = |chance: f32, draw: &mut Draw| if draw.chance(chance) { own(&species.colours, draw) } else { base };
        let (head, thorax, abdomen, limbs) = (part(0.25, draw), part(0.3, draw), part(0.35, draw), part(0.4, draw));
        let mark = own(&species.marks, draw).rgb;
        let hair = if draw.chance(0.5) { mark } else { base.rgb.map(|c| (c * draw.between(0.8, 2.2)).min(1.0)) };
        let dark = draw.between(0.05, 0.25);
        let eye_red = draw.between(1.0, 2.4);
        let eye = Surface { rgb: [dark * eye_red, dark, dark * draw.between(0.7, 1.2)], gloss: 0.8 };
        let smoke = draw.between(0.45, 1.0);
        let membrane = [smoke, smoke * draw.between(0.88, 1.0), smoke * draw.between(0.72, 1.0)];
        let vein = base.rgb.map(|c| c * 0.6 + 0.06);
        Self { head, thorax, abdomen, limbs, mark, hair, eye, vein, membrane }
    }
}

/// An ellipsoid of the trunk, to which other parts are joined.
struct Joint {
    centre: Vec3,
    /// Unit vectors forward, left, up.
    frame: Mat3,
    size: Segment,
}

impl Joint {
    /// The place at these shares of the half axes.
    fn at(&self, forward: f32, left: f32, up: f32) -> Vec3 {
        let half = Vec3::new(self.size.length, self.size.width, self.size.height) * 0.5;
        self.centre + self.frame * (Vec3::new(forward, left, up) * half)
    }

    fn axes(&self) -> Mat3 {
        let half = Vec3::new(self.size.length, self.size.width, self.size.height) * 0.5;
        self.frame * Mat3::from_diagonal(half)
    }
}

struct Pose<'a, 'd> {
    species: &'a Species,
    colours: Colours,
    draw: &'d mut Draw,
    body: Body<'a>,
}

impl Pose<'_, '_> {
    fn size(&mut self, segment: Segment) -> Segment {
        let (length, girth) = (self.draw.about(segment.length, 0.1), self.draw.about(1.0, 0.1));
        Segment { length, width: segment.width * girth, height: segment.height * girth }
    }

    fn solid(&mut self, joint: &Joint, base: Surface, marks: Vec<Mark>, hair: f32) {
        let skin = Skin { base, span: [0.0, 1.0], marks };
        self.push(Solid { centre: joint.centre, axes: joint.axes(), skin }, hair);
    }

    /// Adds a solid and the hair on it.
    fn push(&mut self, solid: Solid, hair: f32) {
        let half = [solid.axes.x_axis, solid.axes.y_axis, solid.axes.z_axis].map(Vec3::length);
        let count = hair * 6000.0 * (half[0] * half[1] + half[0] * half[2] + half[1] * half[2]);
        let normal_of = solid.axes.inverse().transpose();
        for _ in 0..count as u32 {
            let unit = self.direction();
            let root = solid.centre + solid.axes * unit;
            let lean = self.direction() * 0.45;
            let length = self.species.hair.length * self.draw.between(0.5, 1.3);
            let to = root + ((normal_of * unit).normalize_or_zero() + lean) * length;
            let shade = self.draw.between(0.7, 1.25);
            let surface = Surface { rgb: self.colours.hair.map(|c| (c * shade).min(1.0)), gloss: 0.0 };
            self.body.rods.push(Rod { from: root, to, radius: [0.003, 0.001], surface });
        }
        self.body.solids.push(solid);
    }

    /// A unit vector, all directions alike but for those near a corner of the cube, which are a little more frequent.
    fn direction(&mut self) -> Vec3 {
        let mut side = || self.draw.between(-1.0, 1.0);
        Vec3::new(side(), side(), side()).try_normalize().unwrap_or(Vec3::Z)
    }

    fn marks(&mut self, place: Place) -> Vec<Mark> {
        let species = self.species;
        let here = species.patterns.iter().filter(|pattern| pattern.on == place);
        let mut marks = Vec::new();
        for pattern in here {
            if self.draw.chance(pattern.chance) {
                let colour = match pattern.kind {
                    PatternKind::Midline => self.colours.abdomen.rgb.map(|c| c * 0.35),
                    _ => self.colours.mark,
                };
                let size = match pattern.kind {
                    PatternKind::Spots => self.draw.between(0.16, 0.26),
                    PatternKind::Midline => 0.05,
                    PatternKind::Bands | PatternKind::Stripes => self.draw.between(0.25, 0.5),
                };
                marks.push(Mark { kind: pattern.kind, count: f32::from(pattern.count), size, colour });
            }
        }
        marks
    }

    fn thorax(&mut self) -> Joint {
        let size = self.size(self.species.thorax);
        let frame = Mat3::from_rotation_y(radians(4.0 * self.draw.swing()));
        let height = self.draw.about(self.species.legs.stance, 0.15);
        let joint = Joint { centre: Vec3::new(0.0, 0.0, height), frame, size };
        let marks = self.marks(Place::Thorax);
        self.solid(&joint, self.colours.thorax, marks, self.species.hair.thorax);
        joint
    }

    fn head(&mut self, thorax: &Joint) -> Joint {
        let size = self.size(self.species.head);
        let turn = Mat3::from_rotation_z(radians(22.0 * self.draw.swing()))
            * Mat3::from_rotation_y(radians(14.0 + 14.0 * self.draw.swing()));
        let frame = thorax.frame * turn;
        let neck = thorax.at(0.92, 0.0, -0.05);
        let joint = Joint { centre: neck + frame * Vec3::new(size.length * 0.48, 0.0, 0.0), frame, size };
        self.solid(&joint, self.colours.head, Vec::new(), self.species.hair.head);
        let radius = self.species.eyes * size.width;
        for side in [1.0, -1.0] {
            let axes = frame * Mat3::from_diagonal(Vec3::new(radius * 0.95, radius * 0.6, radius * 1.05));
            let skin = Skin { base: self.colours.eye, span: [0.0, 1.0], marks: Vec::new() };
            self.push(Solid { centre: joint.at(0.25, side * 0.72, 0.25), axes, skin }, 0.0);
        }
        joint
    }

    /// Adds waist and abdomen; the place and direction of its end.
    fn abdomen(&mut self, thorax: &Joint) -> (Vec3, Vec3) {
        let Abdomen { length, width, height, rings, taper, droop } = self.species.abdomen;
        let Segment { length, width, height } = self.size(Segment { length, width, height });
        let mut at = thorax.at(-0.9, 0.0, 0.0);
        let mut pitch = self.draw.about(droop, 0.6) + 5.0 * self.draw.swing();
        let mut yaw = 14.0 * self.draw.swing();
        if let Some(waist) = self.species.waist {
            let along = backwards(pitch * 0.3, yaw * 0.5);
            let end = at + along * self.draw.about(waist.length, 0.15);
            let radius = waist.width * 0.5;
            self.body.rods.push(Rod { from: at, to: end, radius: [radius, radius], surface: self.colours.thorax });
            for node in 0..waist.nodes {
                let share = (f32::from(node) + 0.5) / f32::from(waist.nodes);
                let centre = at + (end - at) * share + Vec3::Z * radius * 0.7;
                let axes = Mat3::from_diagonal(Vec3::new(radius * 0.9, radius * 1.3, radius * 2.1));
                let skin = Skin { base: self.colours.thorax, span: [0.0, 1.0], marks: Vec::new() };
                self.push(Solid { centre, axes, skin }, 0.0);
            }
            at = end;
        } else {
            // Where there is no waist the abdomen begins inside the thorax.
            at -= backwards(pitch, yaw) * (0.12 * length);
        }
        let marks = self.marks(Place::Abdomen);
        let parts = f32::from(rings.max(1));
        let (curl, turn) = (self.draw.about(droop, 0.5) / parts, 8.0 * self.draw.swing() / parts);
        for ring in 0..rings.max(1) {
            let middle = (f32::from(ring) + 0.5) / parts;
            let girth = if rings <= 1 { 1.0 } else { profile(middle, taper) };
            let along = backwards(pitch, yaw);
            let step = length / parts;
            let centre = at + along * (step * 0.5);
            let frame = Mat3::from_rotation_z(radians(yaw)) * Mat3::from_rotation_y(radians(-pitch));
            // Each ring reaches a little into its neighbours.
            let half = Vec3::new(step * if rings <= 1 { 0.5 } else { 1.0 }, width * 0.5 * girth, height * 0.5 * girth);
            let share = 0.5 / parts;
            let skin =
                Skin { base: self.colours.abdomen, span: [middle - share, middle + share], marks: marks.clone() };
            self.push(Solid { centre, axes: frame * Mat3::from_diagonal(half), skin }, self.species.hair.abdomen);
            at += along * step;
            (pitch, yaw) = (pitch + curl, yaw + turn);
        }
        (at, backwards(pitch, yaw))
    }

    fn legs(&mut self, thorax: &Joint) {
        let legs = self.species.legs;
        let towards: &[f32] = if legs.pairs == 4 { &[32.0, 72.0, 108.0, 148.0] } else { &[42.0, 92.0, 142.0] };
        let last = towards.len() - 1;
        for side in [1.0, -1.0] {
            for (pair, &degrees) in towards.iter().enumerate() {
                let share = pair as f32 / last as f32;
                let hip = thorax.at(0.62 - 1.25 * share, side * 0.7, -0.45);
                let heading = radians(degrees + 16.0 * self.draw.swing());
                let forward = glam::Vec2::from_angle(heading);
                let out = Vec3::new(forward.x, side * forward.y, 0.0);
                if legs.raptorial && pair == 0 {
                    self.catching_leg(thorax, side, &legs);
                } else {
                    self.leg(hip, out, side, &legs, pair == last);
                }
            }
        }
    }

    /// A leg that stands on the ground: up to the knee, down to the foot, and a foot that lies on it.
    fn leg(&mut self, hip: Vec3, out: Vec3, side: f32, legs: &Legs, hind: bool) {
        let (longer, thicker) = if hind { (legs.hind, legs.hind_thickness) } else { (1.0, 1.0) };
        let (femur, tibia) = (self.draw.about(legs.femur * longer, 0.1), self.draw.about(legs.tibia * longer, 0.1));
        let radius = legs.thickness * 0.5;
        let rise = radians(if longer > 1.5 { 46.0 } else { 30.0 } + 14.0 * self.draw.swing());
        let lifted = Vec2::from_angle(rise);
        let knee = hip + out * (femur * lifted.x) + Vec3::Z * (femur * lifted.y);
        // The foot is where the tibia reaches the ground, or as far down as it goes.
        let drop = (knee.z / tibia).clamp(-0.96, 0.96);
        let run = (1.0 - drop * drop).sqrt();
        let bend = Mat3::from_rotation_z(side * radians(12.0 * self.draw.swing())) * out;
        let foot = knee + bend * (tibia * run) - Vec3::Z * (tibia * drop);
        let toe_turn = Mat3::from_rotation_z(side * radians(22.0 * self.draw.swing()));
        let toe = foot + toe_turn * bend * self.draw.about(legs.tarsus, 0.15);
        self.limb(hip, knee, [radius * 1.25 * thicker, radius * (0.55 + 0.45 * thicker)]);
        self.limb(knee, foot, [radius, radius * 0.75]);
        self.limb(foot, toe, [radius * 0.7, radius * 0.4]);
    }

    /// A folded front leg: forward and up, then back down on itself.
    fn catching_leg(&mut self, thorax: &Joint, side: f32, legs: &Legs) {
        let hip = thorax.at(0.85, side * 0.5, -0.3);
        let spread = self.draw.between(0.15, 0.4);
        let elbow = hip + Vec3::new(0.75, side * spread, 0.2).normalize() * legs.femur * 0.8;
        let knee = elbow + Vec3::new(0.6, side * spread, 0.65).normalize() * legs.femur;
        let claw = knee + Vec3::new(-0.7, side * 0.05, -0.55).normalize() * legs.tibia * 0.8;
        for (from, to, thickness) in [(hip, elbow, [0.7, 0.9]), (elbow, knee, [1.4, 1.0]), (knee, claw, [0.9, 0.4])] {
            self.limb(from, to, thickness.map(|share| share * legs.thickness * 0.6));
        }
    }

    fn antennae(&mut self, head: &Joint) {
        let Some(Antennae { kind, length, thickness }) = self.species.antennae else { return };
        let length = self.draw.about(length, 0.12);
        let opening = 28.0 + 14.0 * self.draw.swing();
        for side in [1.0, -1.0] {
            let base = head.at(0.78, side * 0.34, 0.45);
            let (out, up) = (opening + 8.0 * self.draw.swing(), 26.0 + 16.0 * self.draw.swing());
            let mut heading = Heading { yaw: side * out, pitch: up };
            // Bends from one piece to the next, and the share of the length of each piece.
            let (bend, pieces): (f32, &[f32]) = match kind {
                AntennaKind::Elbowed => (0.0, &[0.4, 0.2, 0.2, 0.2]),
                AntennaKind::Bristle => (0.0, &[1.0]),
                _ => (self.draw.between(6.0, 18.0), &[0.2, 0.2, 0.2, 0.2, 0.2]),
            };
            if kind == AntennaKind::Elbowed {
                heading.yaw += side * 24.0;
            }
            let radius = thickness * 0.5;
            let mut at = base;
            for (index, share) in pieces.iter().enumerate() {
                if index == 1 && kind == AntennaKind::Elbowed {
                    heading.yaw -= side * self.draw.between(45.0, 80.0);
                    heading.pitch -= self.draw.between(25.0, 50.0);
                } else if index > 0 {
                    heading.yaw += side * bend;
                    heading.pitch -= bend * 0.7;
                }
                let to = at + heading.vector(head.frame) * (length * share);
                let thick = if kind == AntennaKind::Elbowed && index > 0 { 1.2 } else { 1.0 };
                self.limb(at, to, [radius * thick, radius * thick * 0.85]);
                if kind == AntennaKind::Feathered {
                    self.barbs(at, to, length * 0.16 * (1.0 - 0.15 * index as f32), radius * 0.5);
                }
                at = to;
            }
            if kind == AntennaKind::Clubbed {
                let along = heading.vector(head.frame);
                self.limb(at - along * radius * 4.0, at, [radius * 1.6, radius * 2.6]);
            }
        }
    }

    fn limb(&mut self, from: Vec3, to: Vec3, radius: [f32; 2]) {
        self.body.rods.push(Rod { from, to, radius, surface: self.colours.limbs });
    }

    fn barbs(&mut self, from: Vec3, to: Vec3, length: f32, radius: f32) {
        let along = (to - from).normalize_or_zero();
        let across = along.cross(Vec3::Z).normalize_or_zero();
        for step in 0..4u8 {
            let root = from + (to - from) * (f32::from(step) / 4.0);
            for side in [1.0, -1.0] {
                self.limb(
                    root,
                    root + (across * side + along * 0.7).normalize_or_zero() * length,
                    [radius, radius * 0.5],
                );
            }
        }
    }

    fn mouth(&mut self, head: &Joint) {
        let jaw = self.draw.about(self.species.mandibles, 0.15);
        let gape = self.draw.between(0.3, 0.75);
        if jaw > 0.0 {
            let thick = (jaw * 0.16).max(0.012);
            for side in [1.0, -1.0] {
                let root = head.at(0.85, side * 0.42, -0.3);
                let middle = root + head.frame * Vec3::new(0.55, side * 0.35 * gape, 0.0) * jaw;
                let tip = middle + head.frame * Vec3::new(0.5, -side * 0.42, 0.0) * jaw;
                let surface = self.colours.head;
                self.body.rods.push(Rod { from: root, to: middle, radius: [thick, thick * 0.85], surface });
                self.body.rods.push(Rod { from: middle, to: tip, radius: [thick * 0.85, thick * 0.3], surface });
            }
        }
        if let Some(beak) = self.species.proboscis {
            let root = head.at(0.8, 0.0, -0.3);
            let down = self.draw.between(25.0, 55.0);
            let along = head.frame * Vec3::new(1.0, 0.0, -0.01 * down).normalize();
            let radius = beak.thickness * 0.5;
            let to = root + along * beak.length;
            self.body.rods.push(Rod { from: root, to, radius: [radius, radius * 0.8], surface: self.colours.head });
        }
    }

    fn rear(&mut self, (end, along): (Vec3, Vec3)) {
        if self.species.stinger > 0.0 {
            let to = end + (along - Vec3::Z * 0.1) * self.draw.about(self.species.stinger, 0.2);
            self.body.rods.push(Rod { from: end, to, radius: [0.012, 0.004], surface: self.colours.abdomen });
        }
        let Some(cerci) = self.species.cerci else { return };
        let radius = cerci.thickness * 0.5;
        for side in [1.0, -1.0] {
            let turned = |degrees: f32| Mat3::from_rotation_z(side * radians(degrees)) * along;
            let root = end + Vec3::Y * side * radius * 1.6 - along * 0.02;
            // The pair lies behind the body: to turn to the left of its way is to turn outwards on the right.
            let middle = root + turned(-14.0 - cerci.curve * 0.3) * (cerci.length * 0.5);
            let tip = middle + turned(-8.0 - cerci.curve) * (cerci.length * 0.5);
            self.limb(root, middle, [radius, radius * 0.85]);
            self.limb(middle, tip, [radius * 0.85, radius * 0.35]);
        }
    }
}

impl<'a> Pose<'a, '_> {
    fn wings(&mut self, thorax: &Joint, wing: &Wing, shape: &'a WingShape, index: usize) {
        let spread = self.draw.chance(wing.spread);
        let sweep = if spread { wing.sweep.min(8.0 + 14.0 * index as f32) } else { wing.sweep };
        let sweep = sweep + 7.0 * self.draw.swing();
        let lift = if spread { 14.0 } else { 6.0 } + 12.0 * self.draw.swing();
        let scale = self.draw.about(1.0, 0.1);
        let opacity = (wing.opacity * self.draw.between(0.7, 1.4)).min(1.0);
        for side in [1.0, -1.0] {
            let sweep = radians(sweep + 4.0 * self.draw.swing());
            let back = Vec2::from_angle(sweep);
            let up = Vec2::from_angle(radians(lift));
            let along = Vec3::new(-back.y * up.x, side * back.x * up.x, up.y);
            // A wing at rest slopes like a roof.
            let roof = if spread { 0.05 } else { 0.35 };
            let across = Vec3::new(back.x, side * back.y, -roof * back.y).normalize();
            let tint = if wing.tint || wing.opacity > 0.45 { self.colours.abdomen.rgb } else { self.colours.membrane };
            self.body.wings.push(Membrane {
                hinge: thorax.at(2.0 * wing.at, side * 0.45, 0.8),
                along: along * (wing.length * scale),
                across: across * (wing.width * scale),
                shape,
                colour: tint,
                vein: self.colours.vein,
                opacity,
                marks: wing.tint.then_some(self.colours.mark),
            });
        }
    }
}

/// A direction by its angles to a frame's forward axis, in degrees.
struct Heading {
    yaw: f32,
    pitch: f32,
}

impl Heading {
    fn vector(&self, frame: Mat3) -> Vec3 {
        let (flat, steep) = (Vec2::from_angle(radians(self.yaw)), Vec2::from_angle(radians(self.pitch)));
        frame * Vec3::new(flat.x * steep.x, flat.y * steep.x, steep.y)
    }
}

/// Backwards along the body, turned down by `pitch` and aside by `yaw` degrees.
fn backwards(pitch: f32, yaw: f32) -> Vec3 {
    let (down, aside) = (Vec2::from_angle(radians(pitch)), Vec2::from_angle(radians(yaw)));
    Vec3::new(-down.x * aside.x, -down.x * aside.y, -down.y)
}

/// Girth of the abdomen at `share` of its length, 1 where it is widest.
fn profile(share: f32, taper: f32) -> f32 {
    let moved = 2.0 * libm::powf(share, taper) - 1.0;
    (1.0 - moved * moved).max(0.02).sqrt()
}

fn radians(degrees: f32) -> f32 {
    degrees * (PI / 180.0)
}
