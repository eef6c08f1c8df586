-- wrk's script: orders by mass, each with an idempotency key of its own.
--   wrk -t1 -c64 -d8s -s orders.lua URL -- API_KEY RUN

local threads = {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("number", #threads)
end

function init(args)
  run = args[2]
  sent = 0
  refused = 0
  headers = { ["Authorization"] = "Bearer " .. args[1], ["Content-Type"] = "application/json" }
end

function request()
  sent = sent + 1
  local body = string.format(
    '{"mass":{"amount":"12.07","unit":"kg"},"idempotency_key":"%s-%d-%d"}', run, number, sent)
  return wrk.format("POST", nil, headers, body)
end

function response(status)
  if status ~= 200 then
    refused = refused + 1
  end
end

function done(summary, latency, _)
  local refused_by_any = 0
  for _, thread in ipairs(threads) do
    refused_by_any = refused_by_any + thread:get("refused")
  end
  local errors = summary.errors
  io.write(string.format(
    '{"seconds": %.6f, "answers": %d, "refused": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.duration / 1e6, summary.requests, refused_by_any,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
