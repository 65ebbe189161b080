"""Error responses of chat completions endpoints, in the words of each provider, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.model_server import JSON


@dataclass(frozen=True)
class Refusal:
    """An error response. `kind`: misconfigured, busy, too long, filtered, refused or failed."""

    status: int
    error: Any
    kind: str
    headers: str = JSON
    body: bytes = b""


def says(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


REFUSALS: dict[str, Refusal] = {
    "OpenAI, too long": Refusal(
        400, says("This model's maximum context length is 8192 tokens.", code="context_length_exceeded"), "too long"
    ),
    "OpenAI Responses, too long": Refusal(
        400, says("Your input exceeds the context window of this model."), "too long"
    ),
    "OpenAI, one request over the limit": Refusal(
        429,
        says("Request too large for gpt-4 on tokens per min (TPM): Limit 10000", code="rate_limit_exceeded"),
        "too long",
    ),
    "llama.cpp, too long": Refusal(
        400,
        says("the request exceeds the available context size", code=400, type="exceed_context_size_error"),
        "too long",
    ),
    "vLLM, too long": Refusal(
        400,
        {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400},
        "too long",
    ),
    "vLLM, exactly full": Refusal(400, says("max_tokens must be at least 1, got 0."), "too long"),
    "vLLM, decoder": Refusal(
        400, says("The decoder prompt (length 5000) is longer than the maximum model length of 4096."), "too long"
    ),
    "Anthropic, too long": Refusal(
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 208310 tokens > 200000 maximum"},
        },
        "too long",
    ),
    "Anthropic, too long with its reply": Refusal(
        400, says("input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000"), "too long"
    ),
    "Gemini, too long": Refusal(
        400,
        [
            says(
                "The input token count (1189163) exceeds the maximum number of tokens allowed (1048575).",
                code=400,
                status="INVALID_ARGUMENT",
            )
        ],
        "too long",
    ),
    "xAI, too long": Refusal(
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        },
        "too long",
    ),
    "SGLang, too long": Refusal(
        400,
        {
            "object": "error",
            "message": "The input (16385 tokens) is longer than the model's context length (8192 tokens).",
            "type": "BadRequestError",
        },
        "too long",
    ),
    "Groq, too long": Refusal(
        413, says("Request too large for model `x` on tokens per minute (TPM)", code="rate_limit_exceeded"), "too long"
    ),
    "Mistral, too long": Refusal(
        400,
        {
            "object": "error",
            "message": "Prompt contains 50000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            "type": "invalid_request_prompt",
        },
        "too long",
    ),
    "TGI, too long": Refusal(
        422,
        {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000", "error_type": "v"},
        "too long",
    ),
    "Cohere, too long": Refusal(400, {"message": "too many tokens: total number of tokens in the prompt"}, "too long"),
    "Moonshot, too long": Refusal(400, says("Your request exceeded model token limit: 8192"), "too long"),
    "Bedrock, too long": Refusal(400, {"message": "Input is too long for requested model."}, "too long"),
    "GitHub, too long": Refusal(400, says("prompt token count of 70000 exceeds the limit of 64000"), "too long"),
    "LM Studio, too long": Refusal(
        400,
        {"error": "The number of tokens to keep from the initial prompt is greater than the context length"},
        "too long",
    ),
    "a proxy's limit": Refusal(413, None, "too long", body=b"<html>413 Request Entity Too Large</html>"),
    "Go gateway, 500": Refusal(500, says("context deadline exceeded"), "failed"),
    "Go gateway, 504": Refusal(504, says("Post: context deadline exceeded (Client.Timeout exceeded)"), "failed"),
    "Go gateway, 400": Refusal(400, says("context deadline exceeded"), "refused"),
    "OpenAI, unsupported parameter": Refusal(
        400,
        says("Unsupported parameter: 'max_tokens' is not supported with this model.", code="unsupported_parameter"),
        "misconfigured",
    ),
    "OpenAI, unsupported value": Refusal(
        400, says("Unsupported value: 'temperature'. Only the default (1) value is supported."), "misconfigured"
    ),
    "OpenAI, max_tokens too large": Refusal(
        400,
        says("max_tokens is too large: 100000. This model supports at most 16384 completion tokens."),
        "misconfigured",
    ),
    "OpenAI, unknown argument": Refusal(400, says("Unrecognized request argument supplied: top_k"), "misconfigured"),
    "Mistral, unknown field": Refusal(
        422,
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "x"], "msg": "Extra inputs are not permitted"}]},
        "misconfigured",
    ),
    "no such model, 404": Refusal(404, says("The model `x` does not exist", code="model_not_found"), "misconfigured"),
    "no such model, 400": Refusal(400, says("Model x not found", code="model_not_found"), "misconfigured"),
    "DeepSeek, no such model": Refusal(400, says("Model Not Exist", type="invalid_request_error"), "misconfigured"),
    "Groq, retired model": Refusal(400, says("The model `x` has been decommissioned"), "misconfigured"),
    "Gemini, bad key": Refusal(
        400,
        [
            says(
                "API key not valid. Please pass a valid API key.",
                code=400,
                status="INVALID_ARGUMENT",
                details=[{"reason": "API_KEY_INVALID"}],
            )
        ],
        "misconfigured",
    ),
    "bad key": Refusal(401, says("Incorrect API key provided", code="invalid_api_key"), "misconfigured"),
    "no money": Refusal(402, says("Insufficient Balance"), "misconfigured"),
    "OpenAI, no money": Refusal(
        429, says("You exceeded your current quota", code="insufficient_quota"), "misconfigured"
    ),
    "embedding model": Refusal(400, says("The model does not support Chat Completions API"), "misconfigured"),
    "rate limit": Refusal(
        429, says("Rate limit reached for model `x` on tokens per minute", code="rate_limit_exceeded"), "busy"
    ),
    "Gemini, rate limit": Refusal(
        429, [says("You exceeded your current quota, please check your plan", status="RESOURCE_EXHAUSTED")], "busy"
    ),
    "Anthropic, overloaded": Refusal(529, {"type": "error", "error": {"type": "overloaded_error"}}, "busy"),
    "Groq, capacity": Refusal(498, says("Flex tier capacity exceeded"), "busy"),
    "Azure, filter": Refusal(
        400,
        says("The response was filtered", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
        "filtered",
    ),
    "OpenRouter, flagged": Refusal(
        403, says("Your chosen model requires moderation and your input was flagged"), "filtered"
    ),
    "Alibaba, inspection": Refusal(400, says("Output data may contain…", code="data_inspection_failed"), "filtered"),
    "a refusal without known words": Refusal(400, says("no"), "refused"),
    "an error of the server": Refusal(500, None, "failed", body=b"oops"),
}
