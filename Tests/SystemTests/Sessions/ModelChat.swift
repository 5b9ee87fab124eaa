// The model's chats: the merge of a configuration, and the reply of HISTORY.

extension ModelChat {
  /// The configurations that drivers give new chats, and the members of each; nil if it is no
  /// object.
  static let configurations: [(text: String, members: [(key: String, json: String)]?)] = [
    ("{}", []), ("[1, 2]", nil), ("{\"k\": 1.0}", [("\"k\"", "1.0")]),
    ("{\"l\":[{} ] ,\"k\":null}", [("\"l\"", "[{} ]"), ("\"k\"", "null")]),
  ]

  /// Merges one member; a null removes it.
  mutating func merge(_ key: String, _ json: String) {
    var members = settings ?? Self.configurations.first { $0.text == config }?.members ?? []
    if json == "null" {
      members.removeAll { $0.key == key }
    } else if let at = members.firstIndex(where: { $0.key == key }) {
      members[at].json = json
    } else {
      members.append((key, json))
    }
    settings = members
    config = "{\(members.map { "\($0.key):\($0.json)" }.joined(separator: ","))}"
  }

  /// The reply of HISTORY that shows some of its messages.
  func history(
    _ list: [(seq: Int, json: String)], _ more: Bool, isLost: Bool = false
  ) -> String {
    let lines = list.map { "{\"seq\":\($0.seq),\"at\":T,\"message\":\($0.json)}" }
    let first = messages.first.map { "\($0.seq)" } ?? "null"
    let last = messages.last.map { "\($0.seq)" } ?? "null"
    return "OK {\"messages\":[\(lines.joined(separator: ","))],\"more\":\(more)"
      + ",\"first_seq\":\(first),\"last_seq\":\(last)\(isLost ? ",\"lost\":true" : "")}"
  }
}
