// Owns: what the doctor sees of webhooks: which keys of Redis are read for it, and whether their
// receivers take their events. Values; any thread.

internal import SessionModel

/// The hooks and their figures, as far as they concern the doctor.
package struct HookSample: Equatable, Sendable {
  private var names: [String] = []
  private var figures: [String: String] = [:]

  package init() {}

  /// The commands that read them; a node of a cluster without the first partition refuses them.
  static func reads(_ namespace: String) -> [[String]] {
    let base = Keyspace(namespace: namespace).base(Keyspace.figures)
    return [["HKEYS", base + ":hooks"], ["HGETALL", base + ":hook_figures"]]
  }

  /// Takes the answers to those.
  mutating func take(_ answers: [Answer]) {
    guard answers.count == 2 else { return }
    names = answers[0].list.compactMap(\.word).sorted()
    figures = answers[1].pairs
  }

  /// Which hooks lag; nil without any hook.
  var finding: Finding? {
    guard !names.isEmpty else { return nil }
    let number = { (figure: String, name: String) in
      figures["\(figure) \(name)"].flatMap { Int64($0) } ?? 0
    }
    let failing = names.filter { number("error_at", $0) > number("delivered_at", $0) }
    guard let first = failing.first else {
      return Finding(.ok, .hooks, "the receivers of \(names.count) webhooks take their events")
    }
    let error = figures["error \(first)"] ?? "unknown"
    let fix =
      error.contains("certificate") || error.contains("authorities")
      ? "give the workers the authority of the receiver's certificate as --hook-ca, and set the "
        + "hook to the name that stands in it"
      : "make the receiver answer 2xx, or end the hook by UNHOOK \(first); HOOKS shows its lag"
    return Finding(
      .warn, .hooks,
      "\(failing.count) of \(names.count) webhooks lag: the receiver of \(first) took nothing "
        + "since its latest failure: \(error)",
      fix: fix)
  }
}
