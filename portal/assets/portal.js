// What makes the portal smoother. Every page works without it.
"use strict";

// Copy buttons appear only where a script runs and a clipboard is there.
for (const button of document.querySelectorAll("button.copy")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  const word = button.querySelector("span");
  const before = word.textContent;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      word.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      word.textContent = "Press Ctrl C";
    }
    setTimeout(() => { word.textContent = before; }, 2000);
  });
}

// The theme changes at once instead of by loading the page again.
const themes = document.querySelector("form.themes");
themes?.addEventListener("submit", (event) => {
  const chosen = event.submitter?.value;
  if (!chosen) return;
  event.preventDefault();
  document.documentElement.dataset.theme = chosen;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = "theme=" + chosen + "; Path=/; Max-Age=31536000; SameSite=Lax" + secure;
  for (const b of themes.querySelectorAll("button")) {
    b.setAttribute("aria-pressed", String(b.value === chosen));
  }
});

// A form is sent once, however often its button is pressed. Coming back by the history makes it ready again.
for (const form of document.querySelectorAll("form[method=post]:not(.themes)")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-busy", "true");
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
  }
});

// What is wrong with a form is read first.
document.querySelector(".summary")?.focus();

// A page for paper.
for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// Passkeys: the browser asks the authenticator, and its answer is sent with the form.
const bytesOf = (s) => Uint8Array.from(atob(s.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const textOf = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const asked = JSON.parse(form.dataset.options).publicKey;
    asked.challenge = bytesOf(asked.challenge);
    if (asked.user) asked.user.id = bytesOf(asked.user.id);
    for (const c of [...(asked.excludeCredentials ?? []), ...(asked.allowCredentials ?? [])]) c.id = bytesOf(c.id);
    try {
      const made = await navigator.credentials[form.dataset.passkey]({ publicKey: asked });
      const answer = { id: made.id, rawId: textOf(made.rawId), type: made.type, response: {}, clientExtensionResults: made.getClientExtensionResults() };
      if (made.authenticatorAttachment) answer.authenticatorAttachment = made.authenticatorAttachment;
      for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
        if (made.response[name]) answer.response[name] = textOf(made.response[name]);
      }
      if (made.response.getTransports) answer.response.transports = made.response.getTransports();
      form.elements.credential.value = JSON.stringify(answer);
      form.submit();
    } catch {
      document.querySelector(".passkey-problem").hidden = false;
      delete form.dataset.sent;
      form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
    }
  });
}
