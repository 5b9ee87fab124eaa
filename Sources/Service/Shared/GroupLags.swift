// Owns: how far consumer groups are behind, as INFO and the page say it. Any thread.

internal import Hooks
internal import Metrics
internal import Wire

extension SharedState {
  /// Each group in use with the age of the oldest event that it has not acknowledged, as JSON.
  ///
  /// Those most behind come first. Hooks have theirs in HOOKS.
  package var groupLags: String {
    let lags = logFigures.groups.filter { !$0.name.hasPrefix(HookDefinition.groupPrefix) }
    let rows = lags.map { lag in
      var name: [UInt8] = []
      name.appendJSONString(Array(lag.name.utf8).span)
      return "{\"group\":\(String(decoding: name, as: UTF8.self)),\"behind_ms\":\(lag.behindMs)}"
    }
    return "[\(rows.joined(separator: ","))]"
  }
}
