// Owns: reading YAML in tests: a tool turns it into JSON, so that nothing here has to parse YAML.

import Foundation

enum YAML {
  /// The documents of a file of the project; the path is from its root.
  static func documents(_ path: String) throws -> [JSON] {
    try documents(at: Project.root.appending(path: path).path)
  }

  /// The documents of a text.
  static func documents(text: String) throws -> [JSON] {
    let path = "\(try Scratch.folder("yaml"))/text.yaml"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return try documents(at: path)
  }

  private static func documents(at place: String) throws -> [JSON] {
    let script = """
      import json, sys, yaml
      with open(sys.argv[1], encoding="utf-8") as file:
          print(json.dumps(list(yaml.safe_load_all(file))))
      """
    let run = try ToolRun("python", ["-c", script, place])
    guard run.status == 0, case .array(let documents) = try JSON(run.output) else {
      throw Failure("\(place) is not YAML: \(run.output)")
    }
    return documents
  }
}

extension JSON {
  var items: [JSON] {
    guard case .array(let items) = self else { return [] }
    return items
  }

  var members: [String: JSON] {
    guard case .object(let members) = self else { return [:] }
    return members
  }

  /// The value at a path of members; nil if one is not there.
  func at(_ path: String...) -> JSON? {
    path.reduce(self) { $0?[$1] }
  }

  /// The value at a path as JSON Patch has it: of members, and of places in lists.
  func find(_ path: ArraySlice<String>) -> JSON? {
    guard let name = path.first else { return self }
    let next = Int(name).map { items.indices.contains($0) ? items[$0] : nil } ?? self[name]
    return next?.find(path.dropFirst())
  }

  /// Every value under any member of a name, however deep.
  func all(_ name: String) -> [JSON] {
    members.flatMap { ($0.key == name ? [$0.value] : []) + $0.value.all(name) }
      + items.flatMap { $0.all(name) }
  }
}
