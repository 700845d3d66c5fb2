//! Features as points of a plane, and the card of each image, which is shown while somebody points at it.

use std::collections::HashMap;

use super::html::group;
use super::number_of;
use crate::embedding::Plane;
use crate::escape::html;
use crate::{Embedding, ReportError, Thumbnails, plot};

/// Side of the picture on a card, and room for a line of text beside it, in pixels of the figure.
const SIDE: i32 = 72;
const TEXT: i32 = 320;
/// The colour of the page's text. What stands in the page once and is shown elsewhere knows none of the style's rules about plots.
const INK: &str = "currentColor";

/// Every embedding as a figure. Pictures stand in the page once, however many figures have them.
pub(super) fn embeddings(embeddings: &[Embedding], thumbnails: &Thumbnails) -> Result<String, ReportError> {
    let mut out = "<p>Each mark is an image, placed by what the network makes of it before the last layer. Principal components: the plane in which \
                   these features vary most; classes that lie apart there can be told apart by a line. t-SNE: a plane in which \
                   neighbours stay neighbours; its axes, the size of a group and the distance between groups mean nothing. \
                   Rows with the same features share a figure.</p>\n"
        .to_owned();
    let cards = cards(embeddings, thumbnails, &mut out);
    if !cards.is_empty() {
        out.push_str(
            "<p>Point at a mark, or tap it, to see its image below the plot (with a keyboard: Tab to a plot, then arrow keys). \
             A ring: said to be of another class.</p>\n",
        );
    }
    out.push_str("<div class=\"panels\">\n");
    for embedding in embeddings {
        let (title, how) = match embedding.plane {
            Plane::Components { explained } => (
                format!("Features of {} by principal components", embedding.title),
                format!("the two components have {:.0} % of the variance", 100.0 * explained.iter().sum::<f64>()),
            ),
            Plane::Neighbours { perplexity, divergence } => (
                format!("Features of {} by t-SNE", embedding.title),
                format!("t-SNE with perplexity {perplexity:.0}, divergence {divergence:.2} nats"),
            ),
        };
        let mut caption = format!("{}: {}; {how}", html(&embedding.title), number_of(embedding.points.len(), "image"));
        if embedding.classes.len() > plot::DISTINCT {
            caption.push_str(&format!("; {} classes, so marks repeat", embedding.classes.len()));
        }
        let card = |point: usize, (x, y): (i32, i32)| {
            let image = &embedding.images[point];
            let key = (image.id.as_str(), embedding.classes[embedding.labels[point]].as_str());
            let shared = cards.get(&key).map(|number| format!("<use href=\"#image-{number}\" x=\"{x}\" y=\"{y}\" />"));
            let wrong = image.predicted.filter(|&class| class != embedding.labels[point]);
            let said = wrong.map(|class| {
                line(&format!("said to be {}", embedding.classes[class]), x + SIDE + 8, y + 56, "#D55E00")
            });
            shared.unwrap_or_default() + &said.unwrap_or_default()
        };
        out.push_str(&group("embedding", &plot::embedding_svg(embedding, card)?, &title, &caption));
    }
    Ok(out + "</div>\n")
}

/// Writes the card of each image, to be shown by its number: picture, name, class.
fn cards<'a>(
    embeddings: &'a [Embedding],
    thumbnails: &Thumbnails,
    out: &mut String,
) -> HashMap<(&'a str, &'a str), usize> {
    let (mut numbers, mut symbols) = (HashMap::new(), String::new());
    for embedding in embeddings {
        for (image, &label) in embedding.images.iter().zip(&embedding.labels) {
            let class = embedding.classes[label].as_str();
            let next = numbers.len();
            if numbers.contains_key(&(image.id.as_str(), class)) {
                continue;
            }
            numbers.insert((image.id.as_str(), class), next);
            let picture = thumbnails
                .uri(&image.id)
                .map(|uri| format!("<image href=\"{uri}\" width=\"{SIDE}\" height=\"{SIDE}\" />"));
            symbols.push_str(&format!(
                "<g id=\"image-{next}\">{}{}{}</g>\n",
                picture.unwrap_or_default(),
                line(&image.id, SIDE + 8, 16, INK),
                line(&format!("truly {class}"), SIDE + 8, 36, INK),
            ));
        }
    }
    if !symbols.is_empty() {
        out.push_str(&format!(
            "<svg class=\"cards\" width=\"0\" height=\"0\" aria-hidden=\"true\" xmlns=\"http://www.w3.org/2000/svg\">\n\
             <defs>\n{symbols}</defs>\n</svg>\n"
        ));
    }
    numbers
}

fn line(text: &str, x: i32, y: i32, fill: &str) -> String {
    let text = html(&plot::fitted(text, TEXT, plot::SMALL));
    format!(
        "<text x=\"{x}\" y=\"{y}\" font-family=\"sans-serif\" font-size=\"{}\" fill=\"{fill}\">{text}</text>",
        plot::SMALL
    )
}
