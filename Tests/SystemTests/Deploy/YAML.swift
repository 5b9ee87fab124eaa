// Owns: reading YAML in tests: a tool turns it into JSON, so that nothing here has to parse YAML.

import Foundation

enum YAML {
  /// The documents of a file of the project; the path is from its root.
  static func documents(_ path: String) throws -> [JSON] {
    let place = Project.root.appending(path: path).path
    let script = """
      import json, sys, yaml
      with open(sys.argv[1], encoding="utf-8") as file:
          print(json.dumps(list(yaml.safe_load_all(file))))
      """
    let run = try ToolRun("python", ["-c", script, place])
    guard run.status == 0, case .array(let documents) = try JSON(run.output) else {
      throw Failure("\(path) is not YAML: \(run.output)")
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

  /// Every value under any member of a name, however deep.
  func all(_ name: String) -> [JSON] {
    members.flatMap { ($0.key == name ? [$0.value] : []) + $0.value.all(name) }
      + items.flatMap { $0.all(name) }
  }
}
