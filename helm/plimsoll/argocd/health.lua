-- Health of a ModelDeployment for Argo CD. Without it Argo CD calls every unknown kind healthy at once.
-- Order matters: a status that speaks about an older spec says nothing about this one, and Stalled wins over Reconciling.
local health = { status = "Progressing", message = "Waiting for the controller to report." }

local status = obj.status
if status == nil or status.conditions == nil then
  return health
end
if obj.metadata.generation ~= nil and (status.observedGeneration or 0) < obj.metadata.generation then
  health.message = "Waiting for the controller to see the newest spec."
  return health
end

local known = {}
for _, condition in ipairs(status.conditions) do
  known[condition.type] = condition
end

local function is_true(kind)
  return known[kind] ~= nil and known[kind].status == "True"
end

local function say(kind)
  local condition = known[kind]
  return condition.message or condition.reason or kind
end

if is_true("Stalled") then
  health.status, health.message = "Degraded", say("Stalled")
elseif is_true("Reconciling") then
  health.message = say("Reconciling")
elseif is_true("Ready") then
  health.status, health.message = "Healthy", say("Ready")
elseif known["Ready"] ~= nil then
  health.message = say("Ready")
end
return health
