-- wrk's script: the same request again and again, {key} in its body replaced by one of its own each time.
--   wrk -t1 -c64 -d8s -s requests.lua URL -- API_KEY RUN METHOD [BODY]

local threads = {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("number", #threads)
end

function init(args)
  run, method, body = args[2], args[3], args[4]
  sent = 0
  refused = 0
  headers = { ["Authorization"] = "Bearer " .. args[1] }
  if body ~= nil then
    headers["Content-Type"] = "application/json"
    first, last = string.find(body, "{key}", 1, true)
  end
  if first == nil then
    always = wrk.format(method, nil, headers, body)
  end
end

function request()
  if always ~= nil then
    return always
  end
  sent = sent + 1
  local key = string.format("%s-%d-%d", run, number, sent)
  return wrk.format(method, nil, headers, string.sub(body, 1, first - 1) .. key .. string.sub(body, last + 1))
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
