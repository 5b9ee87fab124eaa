// Owns: the text of the page for people: one HTML document with its style and script within. No
// state; any thread.

/// The page.
package enum PageText {
  private static let whole = compose()

  /// The document, whose style and script carry this nonce.
  package static func html(nonce: String) -> String {
    whole.joined(separator: nonce)
  }

  /// The document, cut where a nonce stands.
  private static func compose() -> [String] {
    let style = text(PackageResources.page_css)
    let script = text(PackageResources.page_js) + text(PackageResources.views_js)
    let styled = pieces(text(PackageResources.page_html), "<!--STYLE-->")
      .joined(separator: "<style nonce=\"{NONCE}\">\n\(style)</style>")
    let page = pieces(styled, "<!--SCRIPT-->")
      .joined(separator: "<script nonce=\"{NONCE}\">\n\(script)</script>")
    return pieces(page, "{NONCE}")
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  /// The parts of a text between the marks in it.
  private static func pieces(_ text: String, _ mark: String) -> [String] {
    var parts: [String] = []
    var rest = text[...]
    while let range = rest.firstRange(of: mark) {
      parts.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    return parts + [String(rest)]
  }
}
