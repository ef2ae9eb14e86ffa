//! Pages show what they are given as it is, and need nothing from elsewhere.

use super::*;
use crate::ops::bench::print::tests::sample;

#[test]
fn text_can_not_become_markup() {
    let check = |text: &str, expected: &str| assert_eq!(escape(text), expected);
    check("a & b", "a &amp; b");
    check("<script>", "&lt;script&gt;");
    check("\"'", "&quot;&#39;");
    check("&amp;", "&amp;amp;");
    check("µs, 1 < 2", "µs, 1 &lt; 2");
    let page = page(&sample());
    assert!(!page.contains("<b>"), "{page}");
    assert!(
        page.contains("&lt;b&gt;&amp;&quot;slow&quot;&lt;/b&gt;"),
        "{page}"
    );
}

#[test]
fn a_page_is_whole_by_itself() {
    let page = page(&sample());
    for outside in ["http:", "https:", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside} in {page}");
    }
    assert_eq!(page.matches("<polyline").count(), 2);
    for tag in ["table", "tr", "td", "th", "svg", "ul", "li", "text"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn nines_are_evenly_apart_and_powers_of_ten_are_too() {
    let axes = Axes::of(&sample()).unwrap();
    let width = axes.x(0.99) - axes.x(0.9);
    assert!((axes.x(0.9) - axes.x(0.0) - width).abs() < 1e-6);
    assert!((axes.x(0.99) - (WIDTH - MARGIN)).abs() < 1e-6);
    let height = axes.y(1.0) - axes.y(10.0);
    assert!(height > 0.0);
    assert!((axes.y(0.1) - axes.y(1.0) - height).abs() < 1e-6);
}

#[test]
fn without_times_there_is_no_plot() {
    let mut report = sample();
    for target in &mut report.targets {
        target.curves.clear();
        target.figures.clear();
    }
    assert!(!page(&report).contains("<svg"));
}
