// Owns: the text that `latchkey load --help` prints.

extension LoadArguments {
  /// The help text.
  package static var usage: String {
    let mix = Mix.parts.map { part in
      "  \(NumberText.filled(part.name, 9)) "
        + NumberText.padded(NumberText.decimal(Mix()[keyPath: part.field], 0), 3)
        + "   \(part.meaning)"
    }.joined(separator: "\n")
    return """
      usage: latchkey load [--to HOST:PORT,…] [flag…]      (--help shows this)

      Puts a fleet under the load of many conversations at once, as serverless callers have them,
      and checks meanwhile that it keeps its promises. Each conversation has a device of its own,
      with a name that no other run has. For each message a caller comes. In some conversations it
      locks the device, says its message, saves fields, hands over to another agent. In others each
      message is a turn, and further ones join, interrupt or undo it. In the rest it recovers a
      session with short clocks, adds chats, links it, pauses it, and leaves it to its clocks.

      The load:
        --to HOST:PORT,…      workers, or load balancers before them, used in turn
                              (127.0.0.1:5282, or LATCHKEY_TO)
        --conversations N     conversations at a time (100)
        --duration TIME       how long to measure (30s)
        --warmup TIME         how long to run before that (0s)
        --connect WAY         per-call: a connection for each message (the default);
                              keep: one for each conversation
        --think TIME          closed loop: the mean pause of a conversation between the end of a
                              message and the next one (1s)
        --rate N              open loop: N messages a second in all, at random moments, whether or
                              not earlier ones are done. Latency counts from the moment at which a
                              message was due, so that a slow fleet cannot hide by slowing down
                              its callers
        --mix NAME=PERCENT,…  how often a message does what; see below
        --size BYTES          of a message (200)
        --ttl TIME            of locks (10s); who vanishes is missed after it
        --timeout TIME        how long a caller waits for a reply (2s)
        --seed N              repeats the callers' decisions (random)
        --secret-file FILE    callers say AUTH with the secret in that file (or in LATCHKEY_SECRET)
        --tls, --tls-ca FILE, --tls-client-cert FILE, --tls-client-key FILE   as for latchkey call
      Each other flag has a variable, LATCHKEY_LOAD_DURATION for --duration; the flag goes before.

      The check, which is always on:
        --patience TIME       how late the end of a lock may be reported before it counts as
                              not reported; time in which no worker answers does not count (15s)
        --group NAME          two consumers of this group read all events, and acknowledge them
        --chaos COMMAND       a shell command that breaks something, such as 'redis-cli script
                              flush' or 'kill -9 …'; LATCHKEY_CHAOS_RUN counts its runs
        --chaos-every TIME    how often to run it (10s)

      What comes out: a line that shows how it goes on standard error, a summary at the end on
      standard output, and
        --json FILE           all figures as one JSON object
        --report FILE         all figures as one page of HTML with plots, which needs no network

      --mix, in percent of messages, with the defaults:
      \(mix)

      Checked are: one holder and one turn for each device at a time by the server's clock; tokens
      that only grow; nothing accepted under one that is over; messages in order, none lost, none
      doubled, joined ones answered, rolled back ones gone; each abandonment and each change of a
      session's state reported exactly once, and not before its time; quotas and lists. The first
      violation ends the run, with the calls and events of that device that show it. Requests
      without an answer may have been done; the check allows for both.

      Devices begin with 'load-'. Sessions are deleted when they have been checked, and those of a
      run that was killed go by their own clocks within the hour. Ctrl-C ends a run early.

      Exit status: 0 all promises were kept · 1 one was broken · 2 wrong usage
                   3 no connection, or the check could not be completed

      """
  }
}
