// What the calls of scripts do in Redis, by their own count: the library of functions that a worker
// has loaded is replaced by the same one with counters around its calls and its commands. Unlike
// times, these counts are the same however busy the machine is.

import Foundation

/// The work of one call of a script.
struct CallWork {
  /// The script's name, or a command's.
  let name: String
  /// Commands within the call.
  let commands: Int
  /// Values that these have replied, and their bytes.
  let entries: Int
  let readBytes: Int
  /// Bytes of their arguments.
  let writtenBytes: Int
  /// Bytes of the call's own arguments and reply.
  let argumentBytes: Int
  let replyBytes: Int

  fileprivate init?(_ line: String) {
    let words = line.split(separator: " ")
    let numbers = words.dropFirst().compactMap { Int($0) }
    guard numbers.count == 6 else { return nil }
    name = String(words[0])
    (commands, entries, readBytes) = (numbers[0], numbers[1], numbers[2])
    (writtenBytes, argumentBytes, replyBytes) = (numbers[3], numbers[4], numbers[5])
  }
}

/// The counters in a Redis.
final class RedisWork {
  private let client: RedisClient

  /// Puts them around the library that a worker has loaded.
  init(_ redis: RedisServer) throws {
    client = try RedisClient(path: redis.path)
    let libraries = try client.command("FUNCTION", "LIST", "WITHCODE").items
    let codes = libraries.compactMap { library -> String? in
      let members = library.items
      let at = members.firstIndex(of: .text("library_code"))
      return at.flatMap { members[$0 + 1].string }
    }
    guard codes.count == 1, let code = codes.first, let head = code.firstIndex(of: "\n") else {
      throw Failure("\(codes.count) libraries of functions instead of one")
    }
    var text = String(code[head...])
    let commands = "redis.call, redis.pcall, string.sub"
    let functions = /function_name='([a-z_]+?)(_[0-9a-f]{16}[^']*)', callback=serve_call/
    guard text.contains(commands), text.contains(functions) else {
      throw Failure("the library calls commands, or registers functions, in another way")
    }
    text.replace(commands, with: "counted(redis.call), counted(redis.pcall), string.sub")
    text.replace(functions) { match in
      "function_name='\(match.1)\(match.2)', callback=weighed('\(match.1)', serve_call)"
    }
    let whole = code[..<head] + "\n" + RedisWork.counters + text + RedisWork.register
    let reply = try client.command("FUNCTION", "LOAD", "REPLACE", String(whole))
    guard case .text = reply else { throw Failure("FUNCTION LOAD: \(reply)") }
  }

  /// The calls since the last time.
  func take() throws -> [CallWork] {
    try client.command("FCALL", "work_taken", "0", within: .seconds(20)).items.compactMap {
      $0.string.flatMap { CallWork($0) }
    }
  }

  private static let counters = """
    local WORK, working = {}, nil
    local function weigh(value, work, bytes, count)
      if type(value) == 'table' then
        for _, item in pairs(value) do weigh(item, work, bytes, count) end
      else
        work[bytes] = work[bytes] + (type(value) == 'string' and #value or 0)
        work[count] = work[count] + 1
      end
    end
    local function counted(command)
      return function(...)
        local reply, work = command(...), working
        if work then
          work.commands = work.commands + 1
          weigh({...}, work, 'written', 'words')
          weigh(reply, work, 'read', 'entries')
        end
        return reply
      end
    end
    local function weighed(name, serve)
      return function(keys, arguments)
        local work = {commands = 0, entries = 0, read = 0, written = 0, words = 0, arguments = 0,
          reply = 0, items = 0}
        weigh(arguments, work, 'arguments', 'words')
        working = work
        local reply = serve(keys, arguments)
        working = nil
        weigh(reply, work, 'reply', 'items')
        WORK[#WORK + 1] = string.format('%s %d %d %d %d %d %d', name, work.commands, work.entries,
          work.read, work.written, work.arguments, work.reply)
        return reply
      end
    end
    """

  private static let register = """

    redis.register_function{function_name='work_taken', callback=function()
      local taken = WORK
      WORK = {}
      return taken
    end, flags={'no-writes'}}
    """
}
