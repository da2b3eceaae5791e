//! The files of the page, which are part of the program.

/// One of them.
#[derive(Debug)]
pub(super) struct Asset {
    path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) text: &'static str,
}

static ALL: [Asset; 5] = [
    Asset {
        path: "/",
        content_type: "text/html; charset=utf-8",
        text: include_str!("assets/page.html"),
    },
    Asset {
        path: "/style.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("assets/style.css"),
    },
    Asset {
        path: "/figures.js",
        content_type: "text/javascript; charset=utf-8",
        text: include_str!("assets/figures.js"),
    },
    Asset {
        path: "/page.js",
        content_type: "text/javascript; charset=utf-8",
        text: include_str!("assets/page.js"),
    },
    Asset {
        path: "/icon.svg",
        content_type: "image/svg+xml",
        text: include_str!("assets/icon.svg"),
    },
];

pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ALL.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_fetched_from_elsewhere_and_nothing_is_written_into_the_page() {
        for asset in &ALL {
            let outside = ["https://", "//cdn", "@import", "innerHTML", "eval("];
            for word in outside {
                assert!(!asset.text.contains(word), "{}: {word}", asset.path);
            }
            // The name of SVG is no place to fetch from.
            let names = asset.text.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(
                asset.text.matches("http://").count(),
                names,
                "{}",
                asset.path
            );
        }
        let page = find("/").map_or("", |page| page.text);
        for word in [" style=", "<style", " onclick=", "<script>"] {
            assert!(!page.contains(word), "{word}");
        }
        for asset in ALL.iter().skip(1).filter(|one| one.path != "/figures.js") {
            assert!(
                page.contains(asset.path.trim_start_matches('/')),
                "{}",
                asset.path
            );
        }
        assert!(find("/assets/page.html").is_none() && find("").is_none());
    }
}
