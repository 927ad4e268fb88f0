"""The daily health mail (每日健康邮件): how the platform is, told once a day to who is named, whatever happens."""
