// Owns: the page.

package enum ReportPage {
  package static func text(_ result: LoadResult) -> String { "" }
}
