"""The parts of a configuration that discovery cannot know, as examples to switch on."""

JOBS = """\
  # A job that calls when it is done, here http://127.0.0.1:8420/ping/nightly-backup, is missed when
  # it does not.
  #- id: nightly-backup
  #  type: heartbeat
  #  cron: "30 2 * * *"
  #  grace: 20m
"""

TELLING = """\
# Who is told. Secrets come from the environment or a file (${file:/run/secrets/x}), not from here.
# 'defib test-alert --channel ops-mail' sends a real message.
#channels:
#  ops-chat:
#    type: telegram
#    token: "${TELEGRAM_TOKEN}"                  # from @BotFather
#    chat_id: -1001234567890
#  ops-mail:
#    type: email
#    smtp: smtp://mail.example.com:587
#    username: defib
#    password: "${SMTP_PASSWORD}"
#    from: Defib <defib@example.com>
#    to: [ops@example.com]
#  hook:
#    type: webhook
#    url: https://example.com/hook
#    secret: "${HOOK_SECRET}"                    # signs every message

# What goes where: the first route that matches wins. Without routes, every channel gets everything.
#routes:
#  - match: {severity: [high, severe]}
#    channels: [ops-chat, ops-mail, hook]
#  - channels: [ops-mail]

# What happened yesterday and what was healed, every morning.
#reports:
#  daily: {cron: "0 8 * * *", channels: [ops-mail]}
"""
