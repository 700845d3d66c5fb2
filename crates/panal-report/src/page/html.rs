//! The few shapes that all parts of the page are made of: tables, figures, folded parts. What stands in them is decided elsewhere.

use crate::escape::html;
use crate::grid::Grid;

/// A table in a box of its own, which scrolls where it is too wide. The first `heads` columns head their lines;
/// `marked` lines stand out.
pub(crate) fn table(caption: &str, grid: &Grid, heads: usize, marked: impl Fn(usize) -> bool) -> String {
    let head = |(column, head): (usize, &String)| {
        format!("<th scope=\"col\"{}>{}</th>", if column < heads { " class=\"name\"" } else { "" }, html(head))
    };
    let columns: String = grid.heads.iter().enumerate().map(head).collect();
    let cell = |(column, text): (usize, &String)| match html(text) {
        text if column < heads => format!("<th scope=\"row\">{text}</th>"),
        text => format!("<td>{text}</td>"),
    };
    let line = |(line, cells): (usize, &Vec<String>)| {
        let cells: String = cells.iter().enumerate().map(cell).collect();
        format!("<tr{}>{cells}</tr>\n", if marked(line) { " class=\"best\"" } else { "" })
    };
    let lines: String = grid.rows.iter().enumerate().map(line).collect();
    let caption = html(caption);
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\">\n<table>\n<caption><span>{caption}</span></caption>\n\
         <thead><tr>{columns}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table>\n</div>\n"
    )
}

/// A drawing with a title for those who don't see it; `caption` is HTML.
pub(super) fn figure(class: &str, svgs: &[(String, String)], caption: &str) -> String {
    let drawings: String = svgs.iter().map(|(svg, title)| titled(svg, title, "img")).collect();
    format!("<figure class=\"{class}\">\n<div>\n{drawings}</div>\n<figcaption>{caption}</figcaption>\n</figure>\n")
}

/// The same for one drawing whose parts can be pointed at.
pub(super) fn group(class: &str, svg: &str, title: &str, caption: &str) -> String {
    let drawing = titled(svg, title, "group");
    format!("<figure class=\"{class}\">\n<div>\n{drawing}</div>\n<figcaption>{caption}</figcaption>\n</figure>\n")
}

/// The drawing library's SVG as a part of the page that has a name.
fn titled(svg: &str, title: &str, role: &str) -> String {
    let title = html(title);
    match svg.split_once('>') {
        Some((open, rest)) => {
            format!("{open} role=\"{role}\" aria-label=\"{title}\">\n<title>{title}</title>{}\n", rest.trim_end())
        }
        None => String::new(),
    }
}

/// A part that is folded up; `body` is HTML.
pub(super) fn details(summary: &str, body: &str) -> String {
    format!("<details>\n<summary>{}</summary>\n{body}</details>\n", html(summary))
}

/// A block of code that a script may offer to copy.
pub(super) fn code(code: &str) -> String {
    let lines: Vec<String> = code.lines().map(html).collect();
    format!("<div class=\"code\"><pre tabindex=\"0\"><code>{}</code></pre></div>\n", lines.join("\n"))
}

/// A list of plain text.
pub(super) fn list(items: &[String]) -> String {
    let items: String = items.iter().map(|item| format!("<li>{}</li>\n", html(item))).collect();
    format!("<ul>\n{items}</ul>\n")
}
