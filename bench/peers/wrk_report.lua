-- Prints wrk's totals as one JSON line, the last of its output.
function done(summary)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "duration_us": %d, "errors": %d}\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout))
end
